use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::server::{Act, Server};
use super::{NOW, PATIENCE, notice, open, outcome, raise, settled, sink};
use crate::alarm::Notifier;
use vmscope_core::alarm::Turn;

fn webhook(url: &str, more: &str) -> String {
    format!("type = 'webhook'\nurl = '{url}'\npause = '1ms'\ntimeout = '5s'\n{more}")
}

#[test]
fn a_notice_is_posted_as_json() {
    let server = Server::start(vec![Act::Answer(204)]);
    let notifier = open(&webhook(&server.url(), ""));
    raise(&notifier, 7);
    let request = server.request();
    assert_eq!(request.head[0], "POST /alarms HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), None);
    let json = request.json();
    assert_eq!(json["at"], "2026-11-22T12:37:30.000000Z");
    assert_eq!(
        (&json["notice"], &json["turn"]),
        (&"alarm".into(), &"raised".into())
    );
    assert_eq!(json["alarm"]["id"], 7);
    assert_eq!(json["alarm"]["kind"], "pe-missing");
    assert_eq!(outcome(notifier), (1, 0, 0));
}

#[test]
fn a_server_that_fails_is_tried_again_and_order_is_kept() {
    let script = vec![
        Act::Answer(500),
        Act::HangUp,
        Act::Answer(200),
        Act::Answer(200),
    ];
    let server = Server::start(script);
    let notifier = open(&webhook(&server.url(), ""));
    raise(&notifier, 1);
    notifier.put(notice(1, Turn::Cleared), NOW);
    let turns: Vec<_> = (0..4)
        .map(|_| server.request().json()["turn"].clone())
        .collect();
    assert_eq!(turns, ["raised", "raised", "raised", "cleared"]);
    assert_eq!(outcome(notifier), (2, 2, 0));
}

#[test]
fn a_server_that_refuses_is_not_tried_again() {
    let server = Server::start(vec![Act::Answer(400), Act::Answer(200)]);
    let notifier = open(&webhook(&server.url(), ""));
    raise(&notifier, 1);
    raise(&notifier, 2);
    assert_eq!(server.request().json()["alarm"]["id"], 1);
    assert_eq!(server.request().json()["alarm"]["id"], 2);
    let health = settled(&notifier);
    assert_eq!(
        (health.delivered, health.repeated, health.failed),
        (1, 0, 1)
    );
    assert_eq!(health.failing, None);
}

#[test]
fn a_redirection_is_not_followed() {
    let server = Server::start(vec![Act::Redirect, Act::Answer(200)]);
    let notifier = open(&webhook(&server.url(), ""));
    raise(&notifier, 1);
    let health = settled(&notifier);
    assert_eq!((health.delivered, health.failed), (0, 1));
    assert!(health.failing.unwrap().contains("302"));
    assert_eq!(server.request().head[0], "POST /alarms HTTP/1.1");
    assert_eq!(server.others(), 0);
}

#[test]
fn a_server_that_never_answers_is_given_up_and_holds_nobody_up() {
    let server = Server::start(vec![Act::Stall; 100]);
    let spec = webhook(&server.url(), "attempts = 2").replace("'5s'", "'100ms'");
    let notifier = Notifier::with_room(&[sink(&spec)], 10).unwrap();
    let began = Instant::now();
    for id in 0..1_000 {
        raise(&notifier, id);
    }
    let took = began.elapsed();
    let health = settled(&notifier);
    // One or more were with the thread, ten waited, and for the rest there was no room.
    assert_eq!(health.failed + health.dropped, 1_000);
    assert!(health.failed >= 10, "{health:?}");
    assert_eq!(health.repeated, health.failed);
    assert!(health.failing.is_some());
    // A single attempt takes 100 ms.
    assert!(
        took < Duration::from_millis(100) * health.failed as u32,
        "{took:?}"
    );
}

#[test]
fn a_server_that_is_not_there_is_counted_and_then_found() {
    let server = Server::start(vec![Act::Answer(200)]);
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = dead.local_addr().unwrap().port();
    drop(dead);
    let spec = webhook(&format!("http://127.0.0.1:{port}/"), "attempts = 3");
    let notifier = Notifier::open(&[sink(&spec), sink(&webhook(&server.url(), ""))]).unwrap();
    raise(&notifier, 1);
    let health = settled(&notifier);
    assert_eq!(
        (health.delivered, health.repeated, health.failed),
        (0, 2, 1)
    );
    // The other sink does not suffer from it.
    assert_eq!(server.request().json()["alarm"]["id"], 1);
}

#[test]
fn the_end_does_not_wait_for_a_server_that_is_slow() {
    let server = Server::start(vec![Act::Stall; 10]);
    let notifier = open(&webhook(&server.url(), ""));
    (0..3).for_each(|id| raise(&notifier, id));
    server.request();
    let began = Instant::now();
    let health = notifier.finish(Duration::from_millis(50));
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!((health[0].delivered, health[0].failed), (0, 3));
}

#[test]
fn the_end_waits_for_what_can_be_delivered() {
    let server = Server::start(vec![Act::Answer(200); 5]);
    let notifier = open(&webhook(&server.url(), ""));
    (0..5).for_each(|id| raise(&notifier, id));
    let health = notifier.finish(PATIENCE);
    assert_eq!((health[0].delivered, health[0].failed), (5, 0));
}

#[test]
fn secrets_come_from_a_file_that_only_the_daemon_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("headers");
    std::fs::write(
        &path,
        "# the pager\nAuthorization: Bearer s3cret\n\nX-Team: noc\n",
    )
    .unwrap();
    let server = Server::start(vec![Act::Answer(200), Act::Answer(200)]);
    let spec = sink(&webhook(
        &server.url(),
        &format!("header_file = '{}'", path.display()),
    ));
    let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();

    mode(0o644);
    let refused = Notifier::open(std::slice::from_ref(&spec))
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("open to everybody") && !refused.contains("s3cret"),
        "{refused}"
    );

    mode(0o640);
    let notifier = Notifier::open(std::slice::from_ref(&spec)).unwrap();
    raise(&notifier, 1);
    let request = server.request();
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(request.header("x-team"), Some("noc"));
    assert!(!request.body.contains("s3cret"));

    // Another secret is taken without a restart.
    std::fs::write(&path, "Authorization: Bearer other\n").unwrap();
    raise(&notifier, 2);
    assert_eq!(
        server.request().header("authorization"),
        Some("Bearer other")
    );

    std::fs::write(&path, "s3cret without a name\n").unwrap();
    let refused = Notifier::open(&[spec]).err().unwrap().to_string();
    assert!(
        refused.contains("line 1") && !refused.contains("s3cret"),
        "{refused}"
    );
}
