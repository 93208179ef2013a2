//! One request under way, and its place in the table that its branch names.

use std::sync::Arc;

use sip_core::Time;

use crate::work::Work;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Work(Work),
    Catalog,
}

#[derive(Debug)]
pub(crate) struct Flight {
    pub device: u32,
    pub doing: Doing,
    pub proven: bool,
    pub begun: Time,
    pub sent: Time,
    pub bytes: Arc<[u8]>,
}

#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub generation: u32,
    pub flight: Option<Flight>,
}
