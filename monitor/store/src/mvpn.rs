//! The control planes of MVPNs, now and at any moment in the past.
//!
//! [`Record::Change`](vmscope_core::report::Record::Change) keeps the two databases of the patent: the state that each key has, and the
//! states that it had. [`Reader`](crate::Reader) answers from both.
//!
//! Only while somebody listened is anything known. A question about a moment at which nobody did is answered so
//! ([`Listening::No`]), which is something else than an MVPN in which nothing was.

mod changes;
mod columns;
mod density;
mod ledger;
mod question;
mod state;
mod timeline;
mod who;

pub use changes::{ChangeCursor, Changes, PastChange};
pub use density::{Bucket, COUNTED_MAX, Density, Steps};
pub use question::{Answer, Filter, Held, Kind, Listening, MvpnSummary, Size, Slice, Utc, Watched};
pub use state::{Difference, Differences, StateCursor, States};
pub use who::{ActiveGroup, Backbone, Leg, Members, PeTrees, Sender, Wanter};

pub(crate) use ledger::Ledger;
