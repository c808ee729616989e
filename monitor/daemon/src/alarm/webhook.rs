//! Notices by HTTP POST, as JSON.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};
use vmscope_core::alarm::WebhookSpec;

use super::parcel::Parcel;
use super::{Failure, Sink};

pub struct Webhook {
    agent: Agent,
    url: String,
    header_file: Option<PathBuf>,
}

impl Webhook {
    /// A webhook whose files can be read; whether its server is there is another matter.
    pub fn new(spec: &WebhookSpec) -> Result<Webhook, String> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &spec.ca_file {
            tls = tls.root_certs(RootCerts::new_with_certs(&authorities(path)?));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_nanos(spec.timeout.as_ns())))
            // What goes where is in the configuration, and nowhere else: a secret must not follow a redirection.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("vmscope/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build();
        let webhook = Webhook {
            agent: config.new_agent(),
            url: spec.url.clone(),
            header_file: spec.header_file.clone(),
        };
        webhook.headers()?;
        Ok(webhook)
    }

    /// The header lines of the file, as they are now. What they hold is in no message.
    fn headers(&self) -> Result<Vec<(String, String)>, String> {
        let Some(path) = &self.header_file else {
            return Ok(Vec::new());
        };
        let shown = path.display();
        let unreadable = |error| format!("cannot read {shown}: {error}; correct `header_file`");
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(format!("{shown} is open to everybody: chmod o-rwx {shown}"));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let lines = text
            .lines()
            .enumerate()
            .map(|(n, line)| (n + 1, line.trim()));
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(n, line)| match line.split_once(':') {
                Some((name, value)) if !name.trim().is_empty() => {
                    Ok((name.trim().to_owned(), value.trim().to_owned()))
                }
                Some(_) | None => Err(format!(
                    "line {n} of {shown} is no header: write NAME: VALUE"
                )),
            })
            .collect()
    }
}

fn authorities(path: &PathBuf) -> Result<Vec<Certificate<'static>>, String> {
    let shown = path.display();
    let pem = fs::read(path)
        .map_err(|error| format!("cannot read {shown}: {error}; correct `ca_file`"))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            // Keys and what there may be besides are not asked for.
            Ok(_) => {}
            Err(error) => return Err(format!("{shown} is no PEM file: {error}")),
        }
    }
    if found.is_empty() {
        return Err(format!(
            "{shown} holds no certificate: write the authority's there, in PEM"
        ));
    }
    Ok(found)
}

impl Sink for Webhook {
    fn deliver(&mut self, parcel: &Parcel) -> Result<(), Failure> {
        let body = serde_json::to_vec(parcel)
            .map_err(|error| Failure::lasting(format!("it cannot be written as JSON: {error}")))?;
        // A file that is being replaced is there again the next time.
        let headers = self.headers().map_err(Failure::passing)?;
        let mut request = self.agent.post(&self.url).content_type("application/json");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let response = request.send(&body).map_err(failure)?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status @ 300..=399 => Err(Failure::lasting(format!(
                "it answered {status}, elsewhere: redirections are not followed; correct `url`"
            ))),
            status @ (408 | 425 | 429) => Err(Failure::passing(format!("it answered {status}"))),
            status @ 400..=499 => Err(Failure::lasting(format!(
                "it answered {status}, and will again: correct `url`, or what `header_file` holds"
            ))),
            status => Err(Failure::passing(format!(
                "it answered {status}: look after that server"
            ))),
        }
    }
}

fn failure(error: Error) -> Failure {
    let problem = format!("cannot reach it: {error}");
    match error {
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) | Error::TlsRequired => {
            Failure::lasting(format!(
                "{problem}; correct `url`, or what `header_file` holds"
            ))
        }
        Error::Tls(_) | Error::Pem(_) | Error::Rustls(_) => Failure::passing(unvouched(&problem)),
        // So the library hands on what its TLS says.
        Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            Failure::passing(unvouched(&problem))
        }
        // The library may come to fail in further ways.
        _ => Failure::passing(format!(
            "{problem}; look after that server, or correct `url`"
        )),
    }
}

fn unvouched(problem: &str) -> String {
    format!("{problem}; see who vouches for that server, and set `ca_file`")
}
