//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;

use crate::access::Access;
use crate::events::News;
use crate::pool::Pool;

/// Streams of events at most.
pub const STREAMS_MAX: usize = 64;

/// What all requests share.
pub struct App {
    /// The database.
    pub pool: Arc<Pool>,
    /// Who may see what.
    pub access: Access,
    /// Whether the connections are encrypted.
    pub over_tls: bool,
    /// What is new.
    pub news: News,
    /// Room for streams of events.
    pub streams: Arc<Semaphore>,
    /// Requests so far.
    pub requests: AtomicU64,
    /// The description of the interface.
    pub openapi: String,
}
