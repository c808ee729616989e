//! This monitor as a client of another: answers, or reasons.

use std::net::TcpListener;
use std::time::Instant;

use vmscope_core::control::{ErrorCode, PeerSpec};
use vmscope_core::oneway::{PeerFailure, PeerRequest};

use super::*;
use crate::mailbox::Inbox;
use crate::remote::Peers;

/// A monitor with one peer, `m2`: only what concerns it.
struct Asker {
    peers: Peers,
    inbox: Inbox,
    closing: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
    last_id: u64,
}

impl Asker {
    fn of(monitor: &Monitor, label: &str) -> Asker {
        Asker::with(PeerSpec {
            name: Name::new("m2").unwrap(),
            address: monitor.address,
            certificate: monitor.file("m2.pem"),
            token_file: monitor.file(label),
            clock_error: None,
        })
    }

    fn with(spec: PeerSpec) -> Asker {
        let (peers, tasks) = Peers::open(&[spec]).unwrap();
        let (mailbox, inbox) = mailbox().unwrap();
        let (closing, closed) = watch::channel(false);
        let thread = thread::spawn(move || {
            runtime().block_on(async {
                for task in tasks {
                    task.run(mailbox.clone(), closed.clone()).await;
                }
            });
        });
        Asker {
            peers,
            inbox,
            closing,
            thread: Some(thread),
            last_id: 0,
        }
    }

    fn ask(&mut self, operation: Operation) -> Result<Answer, PeerFailure> {
        self.last_id += 1;
        let peer = Name::new("m2").unwrap();
        let id = self.last_id;
        let request = PeerRequest {
            peer,
            id,
            operation,
        };
        self.peers.ask(request)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.inbox.poll_message() {
                Some(Message::Peer(reply)) if reply.id == id => return reply.outcome,
                Some(_) => {}
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
        panic!("neither an answer nor a reason came");
    }

    fn reason(&mut self) -> String {
        match self.ask(Operation::Hello) {
            Err(PeerFailure::Unreachable(reason)) => reason,
            other => panic!("no reason, but {other:?}"),
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ = self.closing.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_peer_answers_or_refuses() {
    let monitor = Monitor::start(Driver::Answers);
    let mut asker = Asker::of(&monitor, "peer");
    assert_eq!(asker.ask(Operation::Hello).unwrap(), Answer::Done);
    match asker.ask(Operation::Shutdown) {
        Err(PeerFailure::Refused(refusal)) => assert_eq!(refusal.code, ErrorCode::Denied),
        other => panic!("a peer's token shut the monitor down: {other:?}"),
    }
    assert_eq!(monitor.asked(), [Operation::Hello]);
}

#[test]
fn a_reason_is_given_for_each_way_not_to_be_let_in() {
    let monitor = Monitor::start(Driver::Answers);
    let reason = Asker::of(&monitor, "red").reason();
    assert!(reason.contains("cannot log in"), "{reason}");
    assert!(reason.contains("no token that is good here"), "{reason}");

    let other = tempfile::tempdir().unwrap();
    let spec = |address, certificate| PeerSpec {
        name: Name::new("m2").unwrap(),
        address,
        certificate,
        token_file: monitor.file("peer"),
        clock_error: None,
    };
    let reason = Asker::with(spec(monitor.address, stranger(other.path()))).reason();
    assert!(reason.contains("its certificate is another"), "{reason}");

    // Nobody listens there: the port was just given back.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let reason = Asker::with(spec(free, monitor.file("m2.pem"))).reason();
    assert!(
        reason.contains("cannot connect: Connection refused"),
        "{reason}"
    );
    assert_eq!(monitor.asked(), []);
}

#[test]
fn who_accepts_and_says_nothing_is_given_up() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let monitor = Monitor::start(Driver::IsSilent);
    let mut asker = Asker::with(PeerSpec {
        name: Name::new("m2").unwrap(),
        address: mute.local_addr().unwrap(),
        certificate: monitor.file("m2.pem"),
        token_file: monitor.file("peer"),
        clock_error: None,
    });
    let reason = asker.reason();
    assert!(
        reason.contains("cannot agree on a key: no answer"),
        "{reason}"
    );
    // The same once it has let us in.
    let reason = Asker::of(&monitor, "peer").reason();
    assert!(reason.contains("did not answer within 4 s"), "{reason}");
    assert_eq!(monitor.asked(), [Operation::Hello]);
}

#[test]
fn a_peer_that_comes_back_is_found_again_and_nobody_in_its_place() {
    let monitor = Monitor::start(Driver::Answers);
    let (address, folder) = (monitor.address, Arc::clone(&monitor.folder));
    let mut asker = Asker::of(&monitor, "peer");
    assert!(asker.ask(Operation::Hello).is_ok());
    drop(monitor);
    assert!(asker.ask(Operation::Hello).is_err());

    let elsewhere = Monitor::start(Driver::Answers);
    let usurper = Monitor::of(Arc::clone(&elsewhere.folder), address, Driver::Answers);
    let until = |asker: &mut Asker, ends: &dyn Fn(&Result<Answer, PeerFailure>) -> bool| {
        let began = Instant::now();
        loop {
            let outcome = asker.ask(Operation::Hello);
            if ends(&outcome) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "still {outcome:?}");
            thread::sleep(Duration::from_millis(50));
        }
    };
    until(&mut asker, &|outcome| match outcome {
        Err(failure) => failure.to_string().contains("its certificate is another"),
        Ok(answer) => panic!("somebody else was believed: {answer:?}"),
    });
    assert_eq!(usurper.asked(), []);
    drop(usurper);

    let back = Monitor::of(folder, address, Driver::Answers);
    until(&mut asker, &|outcome| outcome.is_ok());
    assert_eq!(back.asked(), [Operation::Hello]);
}
