//! A fleet of devices that register, keep alive and answer, as load for a registrar. No socket, no clock.
//!
//! Its devices do what real ones do on UDP: repeat what nobody answers (RFC 3261 section 17.1.2), answer
//! challenges, come back after a 503 when they were told to, and list themselves when asked for a catalog.
#![forbid(unsafe_code)]

mod fleet;
mod flight;
mod latency;
mod repeats;
mod report;
mod wire;
mod work;

pub use fleet::{Fleet, Output};
pub use latency::Latency;
pub use report::Report;
pub use wire::{BadTerms, Terms};
pub use work::{Pace, Work};
