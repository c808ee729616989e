//! A listener and its clients, good and bad, over real sockets; the driver is a thread that answers everything.

mod clients;
mod peers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use vmscope_core::control::{Answer, Operation, Outcome, RemoteSpec, Reply};
use vmscope_core::name::Name;
use vmscope_web::token::{Scope, Tokens, secret};

use super::client::Wire;
use super::listener::Listener;
use super::trust::write_certificate;
use crate::mailbox::{Message, mailbox};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A monitor that can be asked from afar, as far as its clients can tell.
struct Monitor {
    folder: Arc<tempfile::TempDir>,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Operation>>>,
    closing: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What becomes of questions.
#[derive(Clone, Copy, PartialEq)]
enum Driver {
    Answers,
    IsSilent,
}

impl Monitor {
    fn start(driver: Driver) -> Monitor {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        write_certificate("m2", folder.path()).unwrap();
        let mut tokens = Tokens::default();
        for (label, scope) in [
            ("provider", Scope::Provider),
            ("peer", Scope::Peer),
            ("red", Scope::Mvpns([Name::new("red").unwrap()].into())),
        ] {
            let token = tokens
                .add(secret(), label, scope, vmscope_web::now(), None)
                .unwrap();
            std::fs::write(folder.path().join(label), token + "\n").unwrap();
        }
        tokens.write(&folder.path().join("tokens.toml")).unwrap();
        Monitor::of(folder, "127.0.0.1:0".parse().unwrap(), driver)
    }

    fn of(folder: Arc<tempfile::TempDir>, listen: SocketAddr, driver: Driver) -> Monitor {
        let spec = RemoteSpec {
            listen,
            certificate: folder.path().join("m2.pem"),
            key: folder.path().join("m2-key.pem"),
            tokens: folder.path().join("tokens.toml"),
        };
        let mut listener = Listener::bind(&spec).unwrap();
        listener.patience = Duration::from_millis(300);
        let address = listener.address().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (closing, closed) = watch::channel(false);
        let thread = serve(listener, driver, Arc::clone(&asked), closed);
        Monitor {
            folder,
            address,
            asked,
            closing,
            thread: Some(thread),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it is, for who shows the token of this label.
    fn wire(&self, label: &str) -> Wire {
        Wire {
            address: self.address.to_string(),
            certificate: self.file("m2.pem"),
            token_file: self.file(label),
        }
    }

    /// What has reached the driver.
    fn asked(&self) -> Vec<Operation> {
        self.asked.lock().unwrap().clone()
    }

    fn revoke(&self, label: &str) {
        let path = self.file("tokens.toml");
        let mut tokens = Tokens::read(&path).unwrap();
        tokens.revoke(label).unwrap();
        tokens.write(&path).unwrap();
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.closing.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: Listener,
    driver: Driver,
    asked: Arc<Mutex<Vec<Operation>>>,
    closed: watch::Receiver<bool>,
) -> thread::JoinHandle<()> {
    let (mailbox, mut inbox) = mailbox().unwrap();
    let ended = closed.clone();
    thread::spawn(move || {
        let driving = thread::spawn(move || {
            let mut kept = Vec::new();
            while !*ended.borrow() {
                while let Some(message) = inbox.poll_message() {
                    let Message::Ask(request, reply) = message else {
                        continue;
                    };
                    asked.lock().unwrap().push(request.operation);
                    let answer = Reply {
                        id: request.id,
                        outcome: Outcome::Ok(Answer::Done),
                    };
                    match driver {
                        Driver::Answers => drop(reply.send(answer)),
                        Driver::IsSilent => kept.push(reply),
                    }
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        runtime().block_on(listener.serve(mailbox, closed));
        driving.join().unwrap();
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn stranger(folder: &Path) -> PathBuf {
    write_certificate("stranger", folder).unwrap().0
}
