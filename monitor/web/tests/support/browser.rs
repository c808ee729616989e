//! A real browser, driven over WebDriver (W3C) by plain HTTP.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent;

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(20);
/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window; both it and its driver end with this.
pub struct Browser {
    driver: Child,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a driver and a browser with an empty profile.
    pub fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs chromium and chromedriver: run ci/setup, or install the packages chromium and chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("successfully on port ")?;
            Some(rest.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = [
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "disable-dev-shm-usage",
            "window-size=1280,1000",
        ]
        .map(|flag| format!("--{flag}"))
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" }
        }}});
        let base = format!("http://127.0.0.1:{port}/session");
        let made = call("POST", &base, Some(&wanted)).expect("chromium starts");
        let id = made["sessionId"].as_str().unwrap();
        Browser {
            session: format!("{base}/{id}"),
            driver,
            _profile: profile,
        }
    }

    /// Goes to an address.
    pub fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).unwrap();
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let url = call("GET", &format!("{}/url", self.session), None).unwrap();
        url.as_str().unwrap().to_owned()
    }

    /// Runs a script; its answer.
    pub fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post("/execute/sync", body).unwrap()
    }

    /// The text that the first element of a selector shows; nothing if there is none.
    pub fn text(&self, selector: &str) -> Option<String> {
        let quoted = json!(selector);
        let found = self.run(&format!(
            "return document.querySelector({quoted})?.innerText ?? null"
        ));
        found.as_str().map(str::to_owned)
    }

    /// Waits until the first element of a selector shows a text.
    pub fn wait_for(&self, selector: &str, text: &str) {
        self.wait(&format!("{selector} shows {text:?}"), || {
            self.text(selector)
                .is_some_and(|shown| shown.contains(text))
        });
    }

    /// Waits until there is nothing of a selector, or it does not show the text.
    pub fn wait_without(&self, selector: &str, text: &str) {
        self.wait(&format!("{selector} does not show {text:?}"), || {
            !self
                .text(selector)
                .is_some_and(|shown| shown.contains(text))
        });
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let all = || self.text("body").unwrap_or_default();
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: not within {PATIENCE:?}; at {}: {}",
                self.url(),
                all()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until it is somewhere else.
    pub fn wait_to_leave(&self, url: &str) {
        self.wait(&format!("{url} is left"), || self.url() != url);
    }

    /// Makes the window as narrow as a telephone's.
    pub fn narrow_to(&self, width: u32) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": true });
        let told = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        self.post("/goog/cdp/execute", told).unwrap();
    }

    /// Clicks the first element of a selector, once it is there, as a person would.
    pub fn click(&self, selector: &str) {
        self.wait(&format!("{selector} is there"), || {
            self.text(selector).is_some()
        });
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), json!({}))
            .unwrap();
    }

    /// Types into the first element of a selector.
    pub fn type_into(&self, selector: &str, keys: &str) {
        self.wait(&format!("{selector} is there"), || {
            self.text(selector).is_some()
        });
        let element = self.element(selector);
        self.post(
            &format!("/element/{element}/value"),
            json!({ "text": keys }),
        )
        .unwrap();
    }

    /// What the browser complained of: scripts that failed, what the policy forbade.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({ "type": "browser" })).unwrap();
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    fn element(&self, selector: &str) -> String {
        let asked = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", asked).unwrap();
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        call("POST", &format!("{}{path}", self.session), Some(&body))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = call("DELETE", &self.session, None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn call(method: &str, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let agent = agent();
    let sent = match (method, body) {
        ("POST", Some(body)) => agent
            .post(url)
            .header("Content-Type", "application/json")
            .send(body.to_string()),
        ("DELETE", _) => agent.delete(url).call(),
        _ => agent.get(url).call(),
    };
    let mut reply = sent.map_err(|error| format!("{method} {url}: {error}"))?;
    let text = reply
        .body_mut()
        .read_to_string()
        .map_err(|error| error.to_string())?;
    let mut answer: Value =
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    match reply.status().is_success() {
        true => Ok(answer["value"].take()),
        false => Err(format!("{method} {url}: {}", answer["value"]["message"])),
    }
}
