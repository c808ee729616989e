use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Request, read_request};
use super::{PATIENCE, open, raise, settled};

/// A server with a certificate of its own for `localhost`: its port, the certificate, and what it has been sent.
fn start(connections: usize) -> (u16, String, Receiver<Request>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..connections {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // Whether the other side trusts us is its business: see whether a request comes.
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                continue;
            }
            let mut first = [0];
            if std::io::Read::read_exact(&mut stream, &mut first).is_err() {
                continue;
            }
            let rest = std::io::Read::chain(&first[..], &mut stream);
            let _ = sender.send(read_request(rest));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            std::io::Write::write_all(&mut stream, answer).unwrap();
            stream.conn.send_close_notify();
            let _ = stream.conn.complete_io(&mut stream.sock);
        }
    });
    (port, cert.pem(), requests)
}

fn webhook(host: &str, port: u16, more: &str) -> String {
    format!("type = 'webhook'\nurl = 'https://{host}:{port}/'\npause = '1ms'\nattempts = 1\n{more}")
}

#[test]
fn a_server_for_which_nobody_vouches_is_told_nothing() {
    let (port, _, requests) = start(1);
    let notifier = open(&webhook("localhost", port, ""));
    raise(&notifier, 1);
    let health = settled(&notifier);
    assert_eq!((health.delivered, health.failed), (0, 1));
    let problem = health.failing.unwrap();
    assert!(problem.contains("ca_file"), "{problem}");
    assert!(requests.try_recv().is_err());
}

#[test]
fn a_server_is_believed_that_the_operators_authority_vouches_for_and_by_no_other_name() {
    let (port, pem, requests) = start(2);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let more = format!("ca_file = '{}'", path.display());

    let notifier = open(&webhook("127.0.0.1", port, &more));
    raise(&notifier, 1);
    assert_eq!(settled(&notifier).failed, 1);
    assert!(requests.try_recv().is_err());

    let notifier = open(&webhook("localhost", port, &more));
    raise(&notifier, 2);
    let request = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.json()["alarm"]["id"], 2);
    assert_eq!(settled(&notifier).delivered, 1);
}

#[test]
fn an_authority_that_cannot_be_read_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let spec = super::sink(&webhook(
        "localhost",
        1,
        &format!("ca_file = '{}'", path.display()),
    ));
    let refusal = || {
        let opened = crate::alarm::Notifier::open(std::slice::from_ref(&spec));
        opened.err().unwrap().to_string()
    };
    assert!(refusal().contains("cannot read"), "{}", refusal());
    std::fs::write(&path, "nothing").unwrap();
    assert!(refusal().contains("holds no certificate"), "{}", refusal());
}
