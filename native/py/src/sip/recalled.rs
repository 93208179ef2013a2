//! What the ring of last messages is asked for.

use std::borrow::Cow;

use pyo3::pybacked::PyBackedBytes;
use sip_core::Ring;

use super::given::pair;

/// Number, moment, was it sent, peer, bytes of the whole, and what was kept of them.
pub(super) type Recalled = (u64, f64, bool, (String, u16), usize, Cow<'static, [u8]>);

pub(super) fn recall(
    ring: &Ring,
    needles: &[PyBackedBytes],
    after: u64,
    limit: usize,
) -> (u64, Vec<Recalled>) {
    let needles: Vec<&[u8]> = needles.iter().map(|needle| &**needle).collect();
    let found = ring.find(&needles, after, limit, |kept| {
        (
            kept.number,
            kept.at.seconds(),
            kept.sent,
            pair(kept.peer),
            kept.length,
            Cow::Owned(kept.bytes),
        )
    });
    (ring.newest(), found)
}
