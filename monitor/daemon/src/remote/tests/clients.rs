//! Who is let in, who is not, and what each may ask.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use vmscope_core::control::{ErrorCode, Operation, Outcome, Refusal};

use super::*;
use crate::client::{Client, ClientError, Place};

fn connect(wire: Wire) -> Result<Client, ClientError> {
    Client::connect(&Place::Afar(wire))
}

fn refused(client: &mut Client, operation: Operation) -> Refusal {
    match client.ask(operation).unwrap().1.outcome {
        Outcome::Error(refusal) => refusal,
        Outcome::Ok(answer) => panic!("it was answered: {answer:?}"),
    }
}

/// A configuration that would start a task at once.
fn a_session() -> Operation {
    Operation::ConfigLoad {
        toml: "[[tasks]]\nname = 'x'\n".to_owned(),
    }
}

#[test]
fn a_provider_asks_everything() {
    let monitor = Monitor::start(Driver::Answers);
    let mut client = connect(monitor.wire("provider")).unwrap();
    for operation in [Operation::Hello, a_session(), Operation::Shutdown] {
        let (_, reply) = client.ask(operation).unwrap();
        assert!(matches!(reply.outcome, Outcome::Ok(_)));
    }
    assert_eq!(
        monitor.asked(),
        [Operation::Hello, a_session(), Operation::Shutdown]
    );
}

/// PM-15: a third party cannot start a session.
#[test]
fn a_peer_asks_only_what_peers_may() {
    let monitor = Monitor::start(Driver::Answers);
    let mut client = connect(monitor.wire("peer")).unwrap();
    let take = || Operation::CollectTake {
        name: Name::new("x").unwrap(),
        after: 0,
    };
    for operation in [Operation::Hello, take()] {
        let (_, reply) = client.ask(operation).unwrap();
        assert!(matches!(reply.outcome, Outcome::Ok(_)));
    }
    let subscribe = Operation::Subscribe { events: vec![] };
    for operation in [a_session(), Operation::Shutdown, subscribe] {
        assert_eq!(refused(&mut client, operation).code, ErrorCode::Denied);
    }
    assert_eq!(monitor.asked(), [Operation::Hello, take()]);
}

/// PM-15 again: nothing of what somebody says who has no token that is good here reaches the driver.
#[test]
fn who_has_no_token_that_is_good_here_is_not_let_in() {
    let monitor = Monitor::start(Driver::Answers);
    std::fs::write(
        monitor.file("invented"),
        "vmscope_0123456789abcdef0123456789abcdef",
    )
    .unwrap();
    for label in ["invented", "red"] {
        let error = connect(monitor.wire(label)).err().unwrap().to_string();
        assert!(error.contains("no token that is good here"), "{error}");
    }
    std::fs::write(monitor.file("empty"), "\n").unwrap();
    let error = connect(monitor.wire("empty")).err().unwrap().to_string();
    assert!(error.contains("is to hold one token"), "{error}");
    assert_eq!(monitor.asked(), []);
}

#[test]
fn a_token_that_is_revoked_ends_what_it_began() {
    let monitor = Monitor::start(Driver::Answers);
    let mut client = connect(monitor.wire("provider")).unwrap();
    assert!(client.ask(Operation::Hello).is_ok());
    monitor.revoke("provider");
    assert_eq!(
        refused(&mut client, Operation::Shutdown).code,
        ErrorCode::Denied
    );
    assert!(connect(monitor.wire("provider")).is_err());
    assert_eq!(monitor.asked(), [Operation::Hello]);
}

#[test]
fn a_client_tells_its_token_to_nobody_but_the_right_monitor() {
    let monitor = Monitor::start(Driver::Answers);
    let other = tempfile::tempdir().unwrap();
    let wire = Wire {
        certificate: stranger(other.path()),
        ..monitor.wire("provider")
    };
    let error = connect(wire).err().unwrap().to_string();
    assert!(error.contains("its certificate is another"), "{error}");
    // A stranger that shows the monitor's certificate, but lacks the key to it, cannot be made: rustls refuses the pair.
    let stranger_key = other.path().join("stranger-key.pem");
    let files = vmscope_web::TlsFiles {
        certificate: monitor.file("m2.pem"),
        key: stranger_key,
    };
    assert!(files.config().is_err());
    assert_eq!(monitor.asked(), []);
}

/// What the monitor says on a plain connection until it closes it.
fn said_after(monitor: &Monitor, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(monitor.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut said = Vec::new();
    // It may close so hard that what it said last is lost: that is an end, too.
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    said
}

#[test]
fn nothing_is_read_or_said_in_the_clear() {
    let monitor = Monitor::start(Driver::Answers);
    let token = std::fs::read_to_string(monitor.file("provider")).unwrap();
    let login = format!("{{\"id\":0,\"token\":\"{}\"}}\n", token.trim());
    let request = "{\"id\":1,\"request\":{\"op\":\"shutdown\"}}\n";
    let said = said_after(&monitor, (login + request).as_bytes());
    // A TLS alert (RFC 8446 §6), and no text.
    assert!(said.is_empty() || said[0] == 21, "{said:?}");
    assert_eq!(monitor.asked(), []);
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let monitor = Monitor::start(Driver::Answers);
    let began = Instant::now();
    assert_eq!(said_after(&monitor, b""), b"");
    assert!(began.elapsed() < PATIENCE);
    // The same within TLS: a key agreed on, and then silence.
    let stream = encrypted(&monitor);
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .collect();
    assert!(lines.len() == 1 && lines[0].contains("denied"), "{lines:?}");
}

#[test]
fn a_first_line_without_end_is_not_kept() {
    let monitor = Monitor::start(Driver::Answers);
    let mut stream = encrypted(&monitor);
    let mut line = vec![b'x'; 100_000];
    line.push(b'\n');
    // It may be cut off before all is written.
    let _ = stream.write_all(&line);
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    assert!(reply.contains("\"denied\""), "{reply}");
    assert_eq!(monitor.asked(), []);
}

/// A connection on which a key has been agreed on, and nothing said.
fn encrypted(monitor: &Monitor) -> impl Read + Write + use<> {
    let trust = super::super::trust::Trust::read(&monitor.file("m2.pem")).unwrap();
    let host = rustls::pki_types::ServerName::IpAddress(monitor.address.ip().into());
    let connection = rustls::ClientConnection::new(trust.config().unwrap(), host).unwrap();
    let stream = TcpStream::connect(monitor.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream
}

#[test]
fn a_key_is_its_owners_alone_and_what_is_there_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = write_certificate("m2", folder.path()).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&certificate), mode(&key)), (0o644, 0o600));
    let before = std::fs::read(&key).unwrap();
    let error = write_certificate("m2", folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("m2-key.pem"), "{error}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
}
