//! What went wrong with a request, as RFC 9457 has it: for programs and for people.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use vmscope_store::StoreError;

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is (RFC 9457 section 4.2.1).
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What was attempted, on what, and what was found.
    detail: String,
    /// What to do.
    remedy: String,
}

impl Problem {
    /// A problem of this status.
    pub fn new(
        status: StatusCode,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }

    /// The question makes no sense.
    pub fn bad(detail: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail, remedy)
    }

    /// There is no such thing, or it is somebody else's: which of both is nobody's business.
    pub fn unknown(what: &str, name: &str) -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no {what} {name}"),
            format!("use one of those that the list of {what}s has"),
        )
    }

    /// Who asks is not known.
    pub fn stranger() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "this needs a token that is known here and has not expired",
            "send `Authorization: Bearer TOKEN`, or log in on the page; `vmscope token new` makes tokens",
        )
    }

    /// Too many at once.
    pub fn busy(what: &str) -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{what}: there is no room for another"),
            "try again in some seconds",
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        // It may name hosts and files: that is for whoever runs the server.
        tracing::error!("{error}");
        let remedy = match error {
            StoreError::Older { .. } => {
                "start this version of the monitor on the database once: it lacks what is asked for"
            }
            _ => "try again; if it stays, look at the log of `vmscope serve`",
        };
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the results database cannot be read at the moment",
            remedy,
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"vmscope\""),
                );
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
