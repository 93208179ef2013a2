//! SIP for the boundary: codec by offsets, transactions, digest, nonces. No socket, no clock.
//!
//! [`Core`] takes datagrams and the time, and gives events to decide on and datagrams to send. What it
//! holds is bounded by its [`Limits`]; what it can't hold is answered without memory of it, and counted.
#![forbid(unsafe_code)]

mod attempts;
mod budget;
mod client;
pub mod codec;
mod core;
mod counters;
mod credentials;
pub mod digest;
mod event;
mod hop;
mod index;
mod kept;
mod limits;
mod mask;
mod network;
mod nonce;
mod outbox;
mod pool;
mod random;
mod registrar;
mod ring;
mod server;
mod slab;
mod streams;
mod time;
mod timers;
mod whence;

pub use crate::core::{Answer, Core, Outgoing, Output, Prepared, Settings};
pub use attempts::Attempt;
pub use counters::Counters;
pub use event::{Event, Kind, Message};
pub use hop::{Hop, Transport, Way};
pub use limits::Limits;
pub use network::Network;
pub use outbox::{Letter, Outbox};
pub use random::Seed;
pub use registrar::Auth;
pub use ring::{Kept, Ring};
pub use streams::{Order, Route, Terms};
pub use time::Time;
