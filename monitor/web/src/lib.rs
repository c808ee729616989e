//! The web page over the monitor: `vmscope serve`.
//!
//! It only ever reads the monitor's database, so it may run beside the monitor, elsewhere, or without it. Everything that can
//! be asked is a row of one table ([`routes`]), from which the router and the OpenAPI description are both made. `WEB.md` is
//! the guide for people.

mod access;
mod answer;
mod app;
mod clock;
mod events;
mod login;
mod metrics;
mod moment;
mod openapi;
mod page;
mod pool;
mod problem;
mod route;
mod routes;
mod server;
mod settings;
pub mod token;

pub use clock::now;
pub use server::Server;
pub use settings::{ServeError, Settings, TlsFiles};
