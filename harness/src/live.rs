//! Labs that people work in: brought up once, changed, asked and looked into, taken down.
//!
//! ```text
//! mvpnlab VERB ──unix socket──▶ keeper ──shared memory──▶ desk, in the lab
//!   client.rs                   keeper.rs                 desk.rs
//! ```
//!
//! A lab belongs to its keeper, a process of its own: when that ends, however it ends, the kernel ends the lab. What
//! remains of a killed keeper is its folder in the [`registry`], which `gc` sweeps. All three speak in [`frame`]s, which
//! carry [`request`]s and streams of bytes.

mod client;
pub mod command;
pub mod desk;
mod frame;
mod keeper;
mod registry;
mod request;
mod screen;
mod table;

pub use keeper::command as keep;
pub use request::Table;
