//! A PostgreSQL server that goes away and comes back, or does not.

mod common;

use common::mvpn::{at, neighbor, said};
use common::place::Server;
use common::{probe, start};
use std::time::{Duration, Instant as WallInstant};
use vmscope_store::mvpn::{Filter, Slice, Utc};
use vmscope_store::*;

const PAGE: Page = Page {
    session: 7,
    task: 1,
    since: 0,
    limit: 100_000,
};

/// Waits until the writer's health is as wanted; it changes by itself, within seconds.
fn until(writer: &Writer, wanted: impl Fn(&Health) -> bool) -> Health {
    let began = WallInstant::now();
    loop {
        let health = writer.health();
        if wanted(&health) {
            return health;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{health:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_comes_while_the_server_is_away_is_written_when_it_is_back() {
    let mut server = Server::start();
    let location = server.location("public");
    let writer = Writer::open(&location, &start(7), Limits::default()).unwrap();
    let mut put = 0;
    let mut put_some = |count: u32| {
        for seq in put..put + count {
            assert_eq!(writer.put(Entry::Record(probe(seq))), Put::Queued);
        }
        put += count;
    };
    put_some(100);
    until(&writer, |health| health.written == 100);
    server.stop();
    put_some(500);
    assert_eq!(writer.put(said(at(10), neighbor(1))), Put::Queued);
    let health = until(&writer, |health| health.failing.is_some());
    assert_eq!((health.written, health.dropped), (100, 0));
    server.resume();
    until(&writer, |health| {
        health.failing.is_none() && health.written == 601
    });
    put_some(100);
    let health = writer.finish().unwrap();
    assert_eq!(
        (health.written, health.rejected, health.dropped),
        (701, 0, 0)
    );
    let reader = Reader::open(&location).unwrap();
    let held = reader.probes(PAGE).unwrap();
    assert!(held.iter().map(|probe| probe.seq).eq(0..700), "each once");
    let states = reader
        .mvpn_state("red", Utc::NOW, &Filter::ALL, Slice::ALL)
        .unwrap();
    assert_eq!(states.states.len(), 1);
}

#[test]
fn beyond_the_bounds_what_cannot_be_written_is_counted() {
    let mut server = Server::start();
    let limits = Limits {
        queue_entries: 1_000,
        ..Limits::default()
    };
    let writer = Writer::open(server.location("public"), &start(7), limits).unwrap();
    server.stop();
    let probes: u64 = 30_000;
    let dropped = (0..probes as u32)
        .filter(|seq| writer.put(Entry::Record(probe(*seq))) == Put::Dropped)
        .count() as u64;
    assert!(dropped > 0);
    let health = writer.finish().unwrap();
    assert_eq!((health.written, health.dropped), (0, probes), "{health:?}");
    assert!(health.failing.is_some());
}

#[test]
fn each_batch_is_written_once_wherever_the_connection_breaks() {
    let server = Server::start();
    let location = server.location("public");
    let writer = Writer::open(&location, &start(7), Limits::default()).unwrap();
    let mut admin = server.client();
    // Events have no key that would keep a second copy out.
    let events = 4_000;
    for n in 0..events {
        let event = LogEvent {
            at_ns: at(n),
            level: Level::Info,
            kind: "test".to_owned(),
            message: n.to_string(),
        };
        assert_eq!(writer.put(Entry::Event(event)), Put::Queued);
        std::thread::sleep(Duration::from_millis(1));
        if n % 500 == 499 {
            let broken = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vmscope'";
            admin.batch_execute(broken).unwrap();
        }
    }
    until(&writer, |health| health.written == events);
    assert_eq!(writer.finish().unwrap().dropped, 0);
    let row = admin
        .query_one("SELECT count(*), count(DISTINCT message) FROM event", &[])
        .unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)),
        (events as i64, events as i64)
    );
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let location = Location::new("postgres://me:s3cret@127.0.0.1:1/results");
    let error = Writer::open(&location, &start(7), Limits::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("postgres://me@127.0.0.1:1/results"),
        "{error}"
    );
    assert!(
        error.contains("refused") && !error.contains("s3cret"),
        "{error}"
    );
    let tls = Location::new("postgres://127.0.0.1:1/results?sslmode=require");
    let error = Reader::open(&tls).err().unwrap().to_string();
    assert!(error.contains("TLS"), "{error}");
}
