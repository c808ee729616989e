//! The one table of routes: the router and the description of the interface are both made from it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::on;

use crate::answer::{alarms, history, measured, mvpns, oneway, overview, trees};
use crate::app::App;
use crate::problem::Problem;
use crate::route::{Answered, Door, Method, Route, answered, get, get_as_provider};
use crate::{clock, events, login, metrics, page};

/// What the page may do: only what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
  form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All ways to ask for data. The files of the page are in [`page::ASSETS`].
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/api/v1/mvpns",
            "The MVPNs that may be seen, and how they are",
            mvpns::list,
        ),
        get(
            "/api/v1/mvpns/{mvpn}",
            "An MVPN at a moment: PEs, groups, mappings, alarms, what ought to be",
            overview::overview,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/states",
            "All that PEs said and that held at a moment",
            history::states,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/groups/{group}",
            "Who sent a customer's group at a moment, who wanted it, and from whom",
            trees::group,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/pes/{pe}",
            "What a PE got from others at a moment, and what others got from it",
            trees::pe,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/changes",
            "What changed in a stretch of time",
            history::changes,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/difference",
            "What two moments differ in",
            history::difference,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/density",
            "How much changed in each part of a stretch of time",
            history::density,
        ),
        get(
            "/api/v1/mvpns/{mvpn}/steps",
            "The changes next to a moment",
            history::steps,
        ),
        get("/api/v1/alarms", "Alarms, active or past", alarms::alarms),
        get_as_provider(
            "/api/v1/storms",
            "What people were told of many alarms at once",
            alarms::storms,
        ),
        get(
            "/api/v1/tasks",
            "The tasks that may be seen",
            measured::tasks,
        ),
        get(
            "/api/v1/tasks/{task}/pairs",
            "What a task measured between its pairs in a stretch of time",
            measured::pairs,
        ),
        get_as_provider(
            "/api/v1/oneway",
            "What each measurement of one-way loss found last",
            oneway::latest,
        ),
        Route {
            method: Method::Get,
            path: "/api/v1/events",
            summary: "News as they come, server-sent events: `hello` (ask for everything), `state`, `alarms`, `results` with the name of the MVPN or task",
            door: Door::Known,
            query: |_| None,
            body: |_| None,
            answer: Answered::Text("text/event-stream"),
            handler: on(Method::Get.filter(), events::stream),
        },
        Route {
            method: Method::Get,
            path: "/api/v1/session",
            summary: "Who one is here",
            door: Door::Open,
            query: |_| None,
            body: |_| None,
            answer: Answered::Json(|generator| generator.subschema_for::<login::Visitor>()),
            handler: on(Method::Get.filter(), login::visitor),
        },
        Route {
            method: Method::Post,
            path: "/api/v1/session",
            summary: "Logs a browser in: a cookie holds the session",
            door: Door::Open,
            query: |_| None,
            body: |generator| Some(generator.subschema_for::<login::LogIn>()),
            answer: Answered::Json(|generator| generator.subschema_for::<login::Visitor>()),
            handler: on(Method::Post.filter(), login::log_in),
        },
        Route {
            method: Method::Delete,
            path: "/api/v1/session",
            summary: "Logs a browser out",
            door: Door::Open,
            query: |_| None,
            body: |_| None,
            answer: Answered::Nothing,
            handler: on(Method::Delete.filter(), login::log_out),
        },
        Route {
            method: Method::Get,
            path: "/metrics",
            summary: "Figures for Prometheus, of what may be seen",
            door: Door::Known,
            query: |_| None,
            body: |_| None,
            answer: Answered::Text(metrics::MEDIA_TYPE),
            handler: on(Method::Get.filter(), metrics::metrics),
        },
        Route {
            method: Method::Get,
            path: "/openapi.json",
            summary: "This description",
            door: Door::Open,
            query: |_| None,
            body: |_| None,
            answer: Answered::Json(|_| schemars::json_schema!({ "type": "object" })),
            handler: on(Method::Get.filter(), description),
        },
    ]
}

/// The router of the table, and of the page.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let handler = match route.door {
            Door::Open => route.handler,
            Door::Known => route
                .handler
                .layer(from_fn_with_state(Arc::clone(&app), let_in)),
            Door::Provider => route
                .handler
                .layer(from_fn_with_state(Arc::clone(&app), let_provider_in)),
        };
        router = router.route(route.path, handler);
    }
    for asset in page::ASSETS {
        let answer = move |headers: HeaderMap| async move { asset.answer(&headers) };
        router = router.route(asset.path, on(Method::Get.filter(), answer));
    }
    router
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(Arc::clone(&app), count))
        .layer(from_fn(harden))
        .with_state(app)
}

async fn let_in(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match app.access.who(request.headers(), clock::now()) {
        Some(who) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        None => Problem::stranger().into_response(),
    }
}

async fn let_provider_in(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    match app.access.who(request.headers(), clock::now()) {
        Some(who) if who.scope.is_provider() => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Some(_) => Problem::new(
            StatusCode::FORBIDDEN,
            "this is about all MVPNs together, and the token shows some of them",
            "use a provider's token, or ask for alarms, which are each of one MVPN",
        )
        .into_response(),
        None => Problem::stranger().into_response(),
    }
}

/// Where no token is needed, a page of another site must not reach this by a name of its own for this host (DNS rebinding).
pub fn is_local_name(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(|host| match host.rsplit_once(':') {
        // The colons of [::1] are no port's.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    });
    let local = name.map(|name| {
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<std::net::IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    });
    local.unwrap_or(false)
}

async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.requests
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let open = matches!(app.access, crate::access::Access::Open);
    if open && !is_local_name(request.headers()) {
        return Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "without tokens this server answers only to localhost and loopback addresses",
            "ask for http://localhost or http://127.0.0.1, or run `vmscope serve` with --tokens",
        )
        .into_response();
    }
    let over_tls = app.over_tls;
    let mut response = next.run(request).await;
    if over_tls {
        response.headers_mut().insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// Headers of every answer.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let always: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is answered depends on who asks, and on when.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn description(State(app): State<Arc<App>>) -> Response {
    answered(app.openapi.clone().into_bytes())
}

async fn nothing_there() -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is nothing under this path",
        "/openapi.json says what can be asked",
    )
    .into_response()
}

async fn not_so() -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this cannot be asked by this method",
        "/openapi.json says how it can",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_local() {
        let local = |host: &str| {
            let host = HeaderValue::from_str(host).unwrap();
            is_local_name(&HeaderMap::from_iter([(header::HOST, host)]))
        };
        for host in [
            "localhost",
            "LOCALHOST:8470",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]",
            "[::1]:8470",
        ] {
            assert!(local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:80",
            "127.0.0.1.evil.example",
            "[2001:db8::1]:80",
            "evil.example:127",
            "localhost:x",
        ] {
            assert!(!local(host), "{host}");
        }
        assert!(!is_local_name(&HeaderMap::new()));
    }
}
