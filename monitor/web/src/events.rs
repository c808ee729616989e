//! What is new, told at once: server-sent events.
//!
//! The database is asked once a second, for all who listen together, and not at all while nobody does. An event says only
//! of which MVPN or task there is news; what it is, is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use vmscope_store::Pulse;

use crate::access::Who;
use crate::app::App;
use crate::clock;
use crate::pool::Pool;
use crate::problem::Problem;

/// Between two looks at the database.
const EVERY: Duration = Duration::from_secs(1);
/// What is said when there is nothing to say, so that the connection is known to live.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// News that wait for one who listens; who is slower is told to ask for everything.
const WAITING_MAX: usize = 256;

/// What there is news of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The state of an MVPN.
    State,
    /// Alarms of an MVPN or task.
    Alarms,
    /// Results of a task.
    Results,
}

impl Topic {
    fn word(self) -> &'static str {
        match self {
            Topic::State => "state",
            Topic::Alarms => "alarms",
            Topic::Results => "results",
        }
    }
}

/// There is something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Item {
    #[serde(skip)]
    topic: Topic,
    /// The MVPN or task.
    name: String,
}

/// Where news are told.
pub struct News {
    tell: broadcast::Sender<Arc<Item>>,
    wanted: Arc<Notify>,
    /// What was new last.
    last: Mutex<Option<Pulse>>,
}

impl Default for News {
    fn default() -> News {
        News {
            tell: broadcast::channel(WAITING_MAX).0,
            wanted: Arc::new(Notify::new()),
            last: Mutex::default(),
        }
    }
}

impl News {
    /// Looks for what is new, for ever.
    pub async fn look(&self, pool: Arc<Pool>) {
        loop {
            if self.tell.receiver_count() == 0 {
                self.wanted.notified().await;
            }
            self.look_once(&pool).await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Looks now. What is not known from before is not news to anybody who has just come.
    pub async fn look_once(&self, pool: &Arc<Pool>) {
        let last = self.last().clone();
        let after = last.as_ref().map_or(i64::MIN, latest_alarm);
        let pulse = match pool.ask(move |reader| Ok(reader.pulse(after)?)).await {
            Ok(pulse) => pulse,
            // It is in the log, and is tried again.
            Err(_) => return,
        };
        if let Some(last) = &last {
            for item in news(last, &pulse) {
                // Nobody may listen any more.
                let _ = self.tell.send(Arc::new(item));
            }
        }
        let mut kept = pulse;
        if let Some(last) = last {
            for (mvpn, moments) in last.alarms {
                let now = kept.alarms.entry(mvpn).or_insert(moments);
                *now = (now.0.max(moments.0), now.1.max(moments.1));
            }
        }
        *self.last() = Some(kept);
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Pulse>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn latest_alarm(pulse: &Pulse) -> i64 {
    let moments = pulse.alarms.values().flat_map(|(a, b)| [*a, *b]);
    moments.max().unwrap_or(i64::MIN)
}

/// What differs from the pulse before.
fn news(last: &Pulse, now: &Pulse) -> Vec<Item> {
    fn differing<T: PartialEq>(
        topic: Topic,
        last: &BTreeMap<String, T>,
        now: &BTreeMap<String, T>,
    ) -> Vec<Item> {
        let other = now
            .iter()
            .filter(|(name, value)| last.get(*name) != Some(value));
        let gone = last.keys().filter(|name| !now.contains_key(*name));
        let names = other.map(|(name, _)| name).chain(gone);
        names
            .map(|name| Item {
                topic,
                name: name.clone(),
            })
            .collect()
    }
    let mut items = differing(Topic::State, &last.states, &now.states);
    items.extend(differing(Topic::Results, &last.results, &now.results));
    items.extend(now.alarms.keys().map(|name| Item {
        topic: Topic::Alarms,
        name: name.clone(),
    }));
    items
}

/// A stream of news, of what may be seen, for as long as it may be.
pub async fn stream(State(app): State<Arc<App>>, Extension(who): Extension<Who>) -> Response {
    let Ok(room) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Problem::busy("streams of events").into_response();
    };
    let news = app.news.tell.subscribe();
    app.news.wanted.notify_one();
    let listener = Listener {
        app,
        who,
        news,
        greeted: false,
        _room: room,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(events(listener))
        .keep_alive(keep_alive)
        .into_response()
}

struct Listener {
    app: Arc<App>,
    who: Who,
    news: broadcast::Receiver<Arc<Item>>,
    greeted: bool,
    _room: OwnedSemaphorePermit,
}

fn events(listener: Listener) -> impl Stream<Item = Result<Event, std::convert::Infallible>> {
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    })
}

impl Listener {
    /// The next event; nothing when who listens may no longer.
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::replace(&mut self.greeted, true) {
            // From here on nothing is missed: now is the time to ask for all there is.
            return Some(Event::default().event("hello").data("{}"));
        }
        loop {
            let heard = tokio::time::timeout(KEEP_ALIVE, self.news.recv()).await;
            if !self.app.access.still(&self.who, clock::now()) {
                return None;
            }
            match heard {
                Ok(Ok(item)) if self.who.scope.sees(&item.name) => {
                    let data = serde_json::to_string(&*item).unwrap_or_default();
                    return Some(Event::default().event(item.topic.word()).data(data));
                }
                Ok(Err(RecvError::Lagged(_))) => {
                    return Some(Event::default().event("hello").data("{}"));
                }
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(states: &[(&str, i64)], alarms: &[(&str, i64)]) -> Pulse {
        let states = states.iter();
        let alarms = alarms.iter();
        Pulse {
            states: states
                .map(|(n, at)| ((*n).into(), (1, true, *at)))
                .collect(),
            alarms: alarms.map(|(n, at)| ((*n).into(), (*at, 0))).collect(),
            results: BTreeMap::new(),
        }
    }

    #[test]
    fn what_differs_is_news_and_nothing_else() {
        let said = |last: &Pulse, now: &Pulse| -> Vec<(Topic, String)> {
            let items = news(last, now).into_iter();
            items.map(|item| (item.topic, item.name)).collect()
        };
        let last = pulse(&[("red", 5), ("blue", 7)], &[]);
        assert_eq!(said(&last, &last), []);
        let now = pulse(&[("red", 6), ("blue", 7), ("new", 1)], &[("blue", 9)]);
        let wanted = [
            (Topic::State, "new".to_owned()),
            (Topic::State, "red".to_owned()),
            (Topic::Alarms, "blue".to_owned()),
        ];
        assert_eq!(said(&last, &now), wanted);
        let gone = pulse(&[("red", 5)], &[]);
        assert_eq!(said(&last, &gone), [(Topic::State, "blue".to_owned())]);
    }
}
