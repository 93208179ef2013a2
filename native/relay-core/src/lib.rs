//! Packet logic of the media relay: admission, RTP rebuild, fan-out, the trunk. No socket, no clock.
//!
//! The caller passes `now` (time since any fixed moment) and owns the sockets: [`Core`] is generic over
//! whatever stands for one. The relay thread, the sans-IO [`Twin`] and the tests run the same code.
#![forbid(unsafe_code)]

mod admission;
mod bucket;
mod core;
mod hold;
mod network;
mod random;
mod replay;
mod rtp;
mod seal;
mod stream;
mod trunk;
mod twin;
mod window;
mod wire;

pub use admission::{Admission, Admitted, Agreed, Pinned, REFUSALS, Refusal};
pub use core::{Core, Problem, Slot};
pub use hold::Held;
pub use network::{BadNetwork, Network};
pub use rtp::{HEADER_BYTES, Header, Rtp};
pub use seal::{BadKey, KEY_PACKETS, OFFER_BYTES, Offer};
pub use stream::{Stream, Viewer};
pub use trunk::{Port, TRUNK_BYTES, TRUNK_REFUSALS, Trunk, TrunkRefusal};
pub use twin::{Output, Twin};
pub use wire::{
    Aim, Answer, Command, Counters, Event, Expect, Join, Kind, OpenFromTrunk, Place,
    StreamCounters, StreamName, TrunkCounters, ViewOverTrunk, ViewerCounters, ViewerName,
    ViewerPlace,
};
