//! Control from afar: the control socket's protocol over TCP, encrypted, and only for who has a token.
//!
//! The same lines as on the control socket, inside TLS. A client's first line is its [`Login`]; nothing else is read before
//! that has been found good, and nothing is said to who has none. There are two kinds of token: a provider's, which may ask
//! everything, and a peer's, which may have probes collected and reflected, and no more ([`Rights`]). The other direction,
//! this monitor as a peer's client, is [`Peers`].

mod client;
mod listener;
mod login;
mod peer;
mod rights;
#[cfg(test)]
mod tests;
mod trust;

pub use client::Wire;
pub use listener::Listener;
use login::{Login, read_token};
pub use peer::{PeerTask, Peers};
pub use rights::Rights;
pub use trust::write_certificate;
