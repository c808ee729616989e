//! Logging in and out, and who one is.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Who, set_cookie};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::route::{answered, json};
use crate::token::Scope;

/// Bytes of what is sent, at most.
const BODY_BYTES_MAX: usize = 4_096;

/// What is sent to log in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The token.
    token: String,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Visitor {
    /// Whether they are known; then the rest says as whom.
    known: bool,
    /// Whether a token is needed here.
    needs_token: bool,
    /// Their token's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Whether they may see the monitor itself, and all MVPNs.
    provider: bool,
    /// The MVPNs that they may see; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    mvpns: Option<Vec<String>>,
    /// Version of this program.
    version: &'static str,
}

/// Who asks, as far as is known.
pub async fn visitor(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let who = app.access.who(&headers, clock::now());
    told(&app, who.as_ref())
}

/// Logs in: a cookie holds the session.
pub async fn log_in(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let Access::Tokens(door) = &app.access else {
        return told(&app, app.access.who(&headers, clock::now()).as_ref());
    };
    // A form of another site can send text, but not this.
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let read = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(bytes) if is_json => serde_json::from_slice::<LogIn>(&bytes).ok(),
        Ok(_) | Err(_) => None,
    };
    let Some(LogIn { token }) = read else {
        return Problem::bad(
            "logging in takes a token as JSON of application/json",
            "send {\"token\": \"vmscope_…\"}",
        )
        .into_response();
    };
    match door.log_in(token.trim(), clock::now()) {
        Some((who, id)) => {
            let cookie = set_cookie(Some(&id), app.over_tls);
            ([(header::SET_COOKIE, cookie)], told(&app, Some(&who))).into_response()
        }
        None => Problem::stranger().into_response(),
    }
}

/// Logs out.
pub async fn log_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Access::Tokens(door) = &app.access {
        door.log_out(&headers);
    }
    let cookie = set_cookie(None, app.over_tls);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

fn told(app: &App, who: Option<&Who>) -> Response {
    let visitor = Visitor {
        known: who.is_some(),
        needs_token: matches!(app.access, Access::Tokens(_)),
        label: who.and_then(|who| who.label.clone()),
        provider: who.is_some_and(|who| who.scope.is_provider()),
        mvpns: who.and_then(|who| match &who.scope {
            Scope::Provider | Scope::Peer => None,
            Scope::Mvpns(own) => Some(own.iter().map(|name| name.to_string()).collect()),
        }),
        version: env!("CARGO_PKG_VERSION"),
    };
    match json(&visitor) {
        Ok(body) => answered(body),
        Err(problem) => problem.into_response(),
    }
}
