//! A tiny HTTP server that does as a script says, one connection after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::PATIENCE;

/// What to do with a request.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Answer with this status.
    Answer(u16),
    /// Answer that it is to be found at another place of this server.
    Redirect,
    /// Read it, and never answer.
    Stall,
    /// Read it, and close the connection.
    HangUp,
}

#[derive(Debug)]
pub struct Request {
    pub head: Vec<String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let with_name = |line: &&String| {
            line.split_once(':')
                .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        };
        let line = self.head.iter().find(with_name)?;
        Some(line.split_once(':')?.1.trim())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub struct Server {
    pub port: u16,
    requests: Receiver<Request>,
}

impl Server {
    pub fn start(script: Vec<Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let mut stalled = Vec::new();
            for act in script {
                let (stream, _) = listener.accept().unwrap();
                let _ = sender.send(read_request(&stream));
                match act {
                    Act::Stall => stalled.push(stream),
                    Act::HangUp => drop(stream),
                    Act::Answer(_) | Act::Redirect => answer(stream, act),
                }
            }
            // Stalled connections stay open for as long as the test runs.
            thread::park();
        });
        Server { port, requests }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/alarms", self.port)
    }

    pub fn request(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }

    /// Requests that have come and were not looked at.
    pub fn others(&self) -> usize {
        self.requests.try_iter().count()
    }
}

pub fn read_request(stream: impl Read) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            text => head.push(text.to_owned()),
        }
    }
    let mut request = Request {
        head,
        body: String::new(),
    };
    let length = request.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}

fn answer(mut stream: TcpStream, act: Act) {
    let (status, more) = match act {
        Act::Answer(status) => (status, ""),
        Act::Redirect | Act::Stall | Act::HangUp => (302, "Location: /elsewhere\r\n"),
    };
    let text =
        format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
}
