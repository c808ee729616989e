//! A server in this process over a database of the demonstration, and a client that hides nothing.
#![allow(dead_code)]

pub mod demo;
#[path = "../../../store/tests/common/place.rs"]
pub mod place;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use vmscope_store::Location;
use vmscope_web::token::{Scope, Tokens, secret};
use vmscope_web::{Server, Settings, TlsFiles};

/// The demonstration's end: a round hour, so that texts are known.
pub const END_NS: i64 = 1_767_225_600_000_000_000;

/// The moment `s` seconds after the demonstration's beginning, as the interface writes it.
pub fn moment(s: u64) -> String {
    let ns = END_NS - (demo::LENGTH_S as i64 - s as i64) * 1_000_000_000;
    jiff::Timestamp::from_nanosecond(ns.into())
        .unwrap()
        .to_string()
}

/// A server that ends with its test's process.
pub struct Bench {
    pub folder: TempDir,
    pub address: SocketAddr,
    pub noc: String,
    pub red: String,
    pub tokens: PathBuf,
}

pub fn bench(location: &Location, with_tokens: bool) -> Bench {
    bench_with(location, with_tokens, None)
}

pub fn bench_with(location: &Location, with_tokens: bool, tls: Option<TlsFiles>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let mut tokens = Tokens::default();
    let mut add = |label: &str, scope: Scope| {
        let now = vmscope_web::now();
        tokens.add(secret(), label, scope, now, None).unwrap()
    };
    let noc = add("noc", Scope::Provider);
    let red = add("acme", Scope::Mvpns(BTreeSet::from([demo::name("red")])));
    tokens.write(&path).unwrap();
    let settings = Settings {
        database: location.clone(),
        listen: ([127, 0, 0, 1], 0).into(),
        tls,
        tokens: with_tokens.then(|| path.clone()),
    };
    Bench {
        address: start(settings),
        folder,
        noc,
        red,
        tokens: path,
    }
}

/// Starts a server on a thread of its own; says where it listens.
pub fn start(settings: Settings) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = Server::bind(settings).await.unwrap();
            tell.send(server.address().unwrap()).unwrap();
            server.run().await;
        });
    });
    told.recv().unwrap()
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn of(response: ureq::http::Response<ureq::Body>) -> Reply {
        let (head, mut body) = response.into_parts();
        let headers = head.headers.iter();
        Reply {
            status: head.status.as_u16(),
            headers: headers
                .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("?").to_owned()))
                .collect(),
            body: body.read_to_string().unwrap(),
        }
    }
}

pub fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.build().into()
}

impl Bench {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = agent().get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.call().unwrap())
    }

    pub fn get_as(&self, token: &str, path: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        self.get_with(path, &[("Authorization", &bearer)])
    }

    pub fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[])
    }

    /// The events of a stream, each as its name and data, as they come.
    pub fn events(&self, token: Option<&str>) -> impl Iterator<Item = (String, String)> + use<> {
        let mut request = agent().get(self.url("/api/v1/events"));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        let mut lines = BufReader::new(response.into_body().into_reader()).lines();
        std::iter::from_fn(move || {
            let mut name = String::new();
            loop {
                let line = lines.next()?.ok()?;
                if let Some(of) = line.strip_prefix("event: ") {
                    name = of.to_owned();
                }
                if let Some(data) = line.strip_prefix("data: ") {
                    return Some((name, data.to_owned()));
                }
            }
        })
    }
}

/// A database of the demonstration in a file.
pub fn demonstration() -> (TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::new(folder.path().join("demo.sqlite"));
    demo::write(&location, END_NS);
    (folder, location)
}
