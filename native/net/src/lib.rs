//! Sockets in batches: the only crate with unsafe code, each block with its reason.

pub mod arena;
pub mod fleet;
pub mod media;
pub mod poll;
pub mod signalling;
pub mod train;
pub mod udp;
pub mod wake;
