//! The control socket: many clients, one JSON object a line.
//!
//! It runs in a thread of its own, so that no client, however slow or rude, is felt on the
//! packet path. `PROTOCOL.md` is its documentation for those who write clients. The same thread serves control from afar,
//! and speaks to peers ([`crate::remote`]).

pub mod connection;
mod lines;
mod place;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::StartError;
use crate::mailbox::Mailbox;
use crate::remote::{Listener, PeerTask};
pub use lines::{LINE_BYTES_MAX, Line, Lines};
use place::SocketPlace;

/// Clients connected at the same time, at most.
pub const CLIENTS_MAX: usize = 64;
/// How long clients have to take their last lines when the monitor ends.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// The control socket, served until it is closed.
pub struct ControlSocket {
    thread: JoinHandle<()>,
    closing: watch::Sender<bool>,
    path: PathBuf,
}

impl ControlSocket {
    /// Takes the socket's place in the file system and serves it, and whoever connects to `listener`, and keeps up with
    /// peers. SIGTERM and SIGINT become a stop.
    pub fn open(
        path: &Path,
        listener_afar: Option<Listener>,
        peers: Vec<PeerTask>,
        mailbox: Mailbox,
    ) -> Result<ControlSocket, StartError> {
        let failed = |error: std::io::Error| StartError::ControlSocket {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let (place, listener) = SocketPlace::take(path)?;
        let (closing, closed) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::from_std(listener).map_err(failed)?
        };
        let thread = std::thread::Builder::new()
            .name("vmscope-control".to_owned())
            .spawn(move || {
                let _place = place;
                runtime.block_on(async {
                    let mut others = tokio::task::JoinSet::new();
                    for peer in peers {
                        others.spawn(peer.run(mailbox.clone(), closed.clone()));
                    }
                    if let Some(listener) = listener_afar {
                        others.spawn(listener.serve(mailbox.clone(), closed.clone()));
                    }
                    serve(listener, mailbox, closed).await;
                    let _ = tokio::time::timeout(LAST_LINES_WITHIN, others.join_all()).await;
                });
                runtime.shutdown_timeout(LAST_LINES_WITHIN);
            })
            .map_err(failed)?;
        Ok(ControlSocket {
            thread,
            closing,
            path: path.to_owned(),
        })
    }

    /// Lets clients take what has been said to them, closes their connections and removes the socket.
    pub fn close(self) {
        // If nobody listens, the thread has ended already.
        let _ = self.closing.send(true);
        if self.thread.join().is_err() {
            tracing::error!(
                "the thread serving {} ended by a defect",
                self.path.display()
            );
        }
    }
}

async fn serve(listener: UnixListener, mailbox: Mailbox, closed: watch::Receiver<bool>) {
    let mut closing = closed.clone();
    let mut clients = tokio::task::JoinSet::new();
    tokio::spawn(listen_for_signals(mailbox.clone()));
    loop {
        tokio::select! {
            () = connection::until(&mut closing) => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if clients.len() < CLIENTS_MAX => {
                    clients.spawn(connection::serve(stream, mailbox.clone(), closed.clone()));
                }
                Ok((stream, _)) => { clients.spawn(connection::refuse(stream, CLIENTS_MAX)); }
                Err(error) => {
                    tracing::warn!("cannot accept a client: {error}");
                    // Out of descriptors, most likely: give some time to come free.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    let _ = tokio::time::timeout(LAST_LINES_WITHIN, async {
        while clients.join_next().await.is_some() {}
    })
    .await;
}

async fn listen_for_signals(mailbox: Mailbox) {
    let both =
        signal(SignalKind::terminate()).and_then(|t| Ok((t, signal(SignalKind::interrupt())?)));
    match both {
        Ok((mut terminate, mut interrupt)) => loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            mailbox.stop();
        },
        Err(error) => tracing::warn!("cannot listen for signals: {error}; use `vmscope shutdown`"),
    }
}
