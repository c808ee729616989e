use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use super::{NOW, PATIENCE, notice, open, raise, settled};
use vmscope_core::alarm::Turn;

/// What comes between the process's number, which is any, and the message.
fn without_process(message: &[u8]) -> (String, String) {
    let text = std::str::from_utf8(message).unwrap();
    let process = format!(" vmscope {} ", std::process::id());
    let (before, after) = text.split_once(&process).unwrap();
    (before.to_owned(), after.to_owned())
}

#[test]
fn a_notice_is_one_datagram_as_rfc_5424_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    let notifier = open(&format!("type = 'syslog'\nto = '{}'", path.display()));
    raise(&notifier, 3);
    notifier.put(notice(3, Turn::Cleared), NOW);

    let mut buffer = [0; 4_096];
    let length = log.recv(&mut buffer).unwrap();
    let (before, after) = without_process(&buffer[..length]);
    // Facility daemon (3), severity error (3).
    let host = crate::alarm::parcel::host_name();
    assert_eq!(before, format!("<27>1 2026-11-22T12:37:30.000000Z {host}"));
    assert_eq!(
        after,
        "pe-missing - alarm 3 raised (major pe-missing): MVPN red: PE PE2 (10.2.0.2) is missing; look at that PE's VRF"
    );
    let length = log.recv(&mut buffer).unwrap();
    let (before, after) = without_process(&buffer[..length]);
    assert!(before.starts_with("<29>1 "), "{before}");
    assert!(after.ends_with("is missing [fine]"), "{after}");
}

#[test]
fn it_goes_over_udp_with_its_facility() {
    let log = UdpSocket::bind("127.0.0.1:0").unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = log.local_addr().unwrap();
    let notifier = open(&format!(
        "type = 'syslog'\nto = 'udp://{to}'\nfacility = 'local3'"
    ));
    raise(&notifier, 1);
    let mut buffer = [0; 4_096];
    let length = log.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"<155>1 2026-"));
}

#[test]
fn a_socket_that_is_not_there_is_counted_and_found_when_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let notifier = open(&format!("type = 'syslog'\nto = '{}'", path.display()));
    raise(&notifier, 1);
    let health = settled(&notifier);
    assert_eq!((health.delivered, health.failed), (0, 1));
    assert!(
        health
            .failing
            .unwrap()
            .contains("start it, or correct `to`")
    );

    let log = UnixDatagram::bind(&path).unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    raise(&notifier, 2);
    let mut buffer = [0; 4_096];
    log.recv(&mut buffer).unwrap();
    let health = settled(&notifier);
    assert_eq!((health.delivered, health.failing), (1, None));
}
