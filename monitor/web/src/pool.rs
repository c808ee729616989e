//! Connections to the database, a few, each used by one request at a time on a thread that may wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use vmscope_store::{Location, Reader, StoreError};

use crate::problem::Problem;

/// Questions that are asked of the database at the same time; others wait.
const AT_ONCE: usize = 4;
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Readers of one database.
pub struct Pool {
    location: Location,
    idle: Mutex<Vec<Reader>>,
    turns: Arc<Semaphore>,
}

impl Pool {
    /// A pool without connections yet.
    pub fn new(location: Location) -> Arc<Pool> {
        Arc::new(Pool {
            location,
            idle: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Asks with a reader, on a thread of its own.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Pool>,
        question: impl FnOnce(&Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) | Err(_) => return Err(Problem::busy("questions to the database")),
        };
        let pool = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            // Kept until the answer is there, even if nobody waits for it any longer.
            let _turn = turn;
            pool.with_reader(question)
        });
        match asked.await {
            Ok(answer) => answer,
            Err(_) => Err(Problem::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "the question has met a defect of this program",
                "look at the log of `vmscope serve`, and report it",
            )),
        }
    }

    fn with_reader<T>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let idle = self.idle().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open()?,
        };
        let answer = question(&reader);
        // One whose server has gone would fail for ever.
        let failed = answer
            .as_ref()
            .is_err_and(|problem| problem.status().is_server_error());
        if !failed {
            self.idle().push(reader);
        }
        answer
    }

    /// Opens another connection.
    pub fn open(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.location)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
