//! `/metrics`: for Prometheus, of what may be seen.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use vmscope_store::mvpn::Utc;
use vmscope_store::{PairSpan, Reader};

use crate::access::Who;
use crate::answer::{Nothing, mvpns};
use crate::app::{App, STREAMS_MAX};
use crate::clock;
use crate::problem::Problem;
use crate::route::Ask;
use crate::token::Scope;

/// The media type of what is answered.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Results of so long before count.
const MEASURED_WITHIN_NS: i64 = 300 * 1_000_000_000;
/// Pairs of one task that are told at most: the first by name.
const PAIRS_MAX: usize = 10_000;

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge>;
type Reals = Family<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// All that is to be told.
pub async fn metrics(State(app): State<Arc<App>>, Extension(who): Extension<Who>) -> Response {
    let now = clock::utc(clock::now());
    let requests = app.requests.load(Ordering::Relaxed);
    let streams = (STREAMS_MAX - app.streams.available_permits()) as i64;
    let asked = app.pool.ask(move |reader| {
        let mut registry = Registry::with_prefix("vmscope");
        mvpns_of(&mut registry, reader, &who.scope)?;
        tasks_of(&mut registry, reader, &who.scope, now)?;
        if who.scope.is_provider() {
            server_of(&mut registry, requests, streams);
        }
        let mut text = String::new();
        encode(&mut text, &registry)
            .map_err(|_| Problem::bad("the metrics have no form as text", "report it"))?;
        Ok(text)
    });
    match asked.await {
        Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn mvpns_of(registry: &mut Registry, reader: &Reader, scope: &Scope) -> Result<(), Problem> {
    let (watched, pes, missing_pes, alarms) = (
        Gauges::default(),
        Gauges::default(),
        Gauges::default(),
        Gauges::default(),
    );
    for mvpn in mvpns::list(&Ask::new(reader, scope), Nothing {})?.mvpns {
        let labels = vec![("mvpn", mvpn.mvpn.clone())];
        watched.get_or_create(&labels).set(mvpn.watched.into());
        // Of what nobody listens to, nothing is said: nothing is known.
        if mvpn.watched {
            pes.get_or_create(&labels).set(number(mvpn.pes));
        }
        if let Some(missing) = mvpn.pes_missing {
            missing_pes.get_or_create(&labels).set(number(missing));
        }
        for (severity, count) in [
            ("critical", mvpn.alarms.critical),
            ("major", mvpn.alarms.major),
            ("minor", mvpn.alarms.minor),
            ("warning", mvpn.alarms.warning),
        ] {
            let mut labels = labels.clone();
            labels.push(("severity", severity.to_owned()));
            alarms.get_or_create(&labels).set(number(count));
        }
    }
    registry.register("mvpn_watched", "Whether the MVPN is listened to", watched);
    registry.register("mvpn_pes", "PEs that take part in the MVPN", pes);
    registry.register(
        "mvpn_pes_missing",
        "PEs that must take part and do not",
        missing_pes,
    );
    registry.register("mvpn_alarms", "Active alarms of the MVPN", alarms);
    Ok(())
}

fn tasks_of(
    registry: &mut Registry,
    reader: &Reader,
    scope: &Scope,
    now: Utc,
) -> Result<(), Problem> {
    let (loss, delay, sent, drops) = (
        Reals::default(),
        Reals::default(),
        Gauges::default(),
        Gauges::default(),
    );
    let tasks = reader.task_spans()?.into_iter();
    for task in tasks.filter(|task| task.running && scope.sees(&task.name)) {
        let from = Utc::from_ns(now.as_ns().saturating_sub(MEASURED_WITHIN_NS));
        let found = reader.pairs_between(&task.name, from..Utc::NOW)?;
        for pair in found.pairs.iter().take(PAIRS_MAX) {
            let labels = of_pair(&task.name, pair);
            if let Some(share) = pair.loss {
                loss.get_or_create(&labels).set(share);
            }
            if let Some(ns) = pair.delay_mean_ns {
                delay.get_or_create(&labels).set(ns as f64 / 1e9);
            }
            sent.get_or_create(&labels).set(number(pair.sent));
            drops.get_or_create(&labels).set(number(pair.capture_drops));
        }
    }
    registry.register_with_unit(
        "pair_loss",
        "Share of probes lost within five minutes, the monitor's tunnels included",
        Unit::Ratios,
        loss,
    );
    registry.register_with_unit(
        "pair_delay_mean",
        "Mean one-way delay within five minutes, the monitor's tunnels included",
        Unit::Seconds,
        delay,
    );
    registry.register("pair_probes", "Probes decided within five minutes", sent);
    registry.register(
        "pair_capture_drops",
        "Packets that the monitor's own capture dropped meanwhile: losses may be its own",
        drops,
    );
    Ok(())
}

fn of_pair(task: &str, pair: &PairSpan) -> Labels {
    vec![
        ("task", task.to_owned()),
        ("sender", pair.sender.clone()),
        ("receiver", pair.receiver.clone()),
    ]
}

fn server_of(registry: &mut Registry, requests: u64, streams: i64) {
    registry.register(
        "web_requests",
        "Requests that this server was asked",
        ConstCounter::new(requests),
    );
    let open: Gauge = Gauge::default();
    open.set(streams);
    registry.register("web_streams", "Streams of events that are open", open);
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
