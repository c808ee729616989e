//! Routers that count well and badly, and what is made of it: every aggregate that is not discarded has the true count.

mod exporter;
mod router;
mod values;
