//! The leg between two hosts: packets of many streams over one port pair, each sealed by itself.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | epoch of the key |
//! | 6 | counter of the packet, over all streams; never the same twice |
//! | 4 | number of the stream |
//! | .. | an RTP packet, sealed |
//! | 16 | tag over all of it |
//!
//! What comes out is RTP that is judged like any other. What does not open is counted and never answered.

use std::collections::HashMap;
use std::ops::Range;

use crate::core::Slot;
use crate::rtp::Header;
use crate::seal::{BadKey, Offer, Opener, Sealer, TAG_BYTES, random_byte};
use crate::wire::TrunkCounters;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 12;
/// What the trunk adds to an RTP packet.
pub const TRUNK_BYTES: usize = HEAD_BYTES + TAG_BYTES;
const COUNTER_MAX: u64 = (1 << 48) - 1;

/// Where a stream comes from, or a viewer's packets go: a socket of its own, or a number on the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port<S> {
    Own(S),
    Trunk(u32),
}

/// Why a datagram was dropped; the order is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkRefusal {
    /// Too short, or of another version.
    NotTrunk,
    /// Not from the other host.
    ForeignSource,
    /// Sealed with a key that we don't hold: of an earlier run, or too long ago.
    UnknownEpoch,
    /// It came before, or is too old to say.
    Replayed,
    /// Changed on the way, forged, or our own sent back.
    BadTag,
    /// Nobody here takes the stream (any more).
    UnknownStream,
}

/// All of them, in the order of the checks.
pub const TRUNK_REFUSALS: [TrunkRefusal; 6] = [
    TrunkRefusal::NotTrunk,
    TrunkRefusal::ForeignSource,
    TrunkRefusal::UnknownEpoch,
    TrunkRefusal::Replayed,
    TrunkRefusal::BadTag,
    TrunkRefusal::UnknownStream,
];

impl TrunkRefusal {
    /// The counter's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotTrunk => "not_trunk",
            Self::ForeignSource => "foreign_source",
            Self::UnknownEpoch => "unknown_epoch",
            Self::Replayed => "replayed",
            Self::BadTag => "bad_tag",
            Self::UnknownStream => "unknown_stream",
        }
    }
}

/// Keys, numbers and counters of one end. Holds two keys to open with and one to seal with, however long it runs.
#[derive(Default)]
pub struct Trunk {
    sealer: Option<Sealer>,
    openers: [Option<Opener>; 2],
    counter: u64,
    slots: HashMap<u32, Slot>,
    received: u64,
    opened: u64,
    bytes: u64,
    refused: [u64; TRUNK_REFUSALS.len()],
    /// Packets that should have come under keys that are gone, and did.
    retired: u64,
    sealed: u64,
    unsealed: u64,
    unsent: u64,
}

impl Trunk {
    /// Make a key for the other host to seal with from now on; the one before still opens.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn offer(&mut self) -> Result<Offer, BadKey> {
        let epoch = match &self.openers[0] {
            Some(opener) => opener.epoch.wrapping_add(1),
            None => random_byte()?, // what an earlier run sealed is most likely of another
        };
        let (opener, offer) = Opener::new(epoch)?;
        let [current, before] = &mut self.openers;
        let gone = before.take();
        self.retired += gone.map_or(0, |it| it.replay.span());
        *before = current.replace(opener);
        Ok(offer)
    }

    /// Seal with the other host's key from now on.
    ///
    /// # Errors
    /// It is no offer.
    pub fn accept(&mut self, offer: &[u8]) -> Result<(), BadKey> {
        self.sealer = Some(Sealer::new(offer, self.counter)?);
        Ok(())
    }

    /// Hand to `slot` what comes with that number; `false` if another has it.
    pub fn take(&mut self, number: u32, slot: Slot) -> bool {
        let free = !self.slots.contains_key(&number);
        if free {
            self.slots.insert(number, slot);
        }
        free
    }

    pub fn leave(&mut self, number: u32) {
        self.slots.remove(&number);
    }

    /// Append one sealed packet to `into`; where it lies there, or `None` when there is no key to seal with.
    pub fn seal(
        &mut self,
        number: u32,
        header: &Header,
        payload: &[u8],
        into: &mut Vec<u8>,
    ) -> Option<Range<usize>> {
        let start = into.len();
        let counter = self.counter;
        let sealed = self.sealer.as_ref().filter(|_| counter <= COUNTER_MAX);
        let sealed = sealed.and_then(|sealer| {
            into.extend([VERSION, sealer.epoch]);
            into.extend(&counter.to_be_bytes()[2..]);
            into.extend(number.to_be_bytes());
            into.extend(header);
            into.extend(payload);
            let (head, body) = into[start..].split_at_mut(HEAD_BYTES);
            sealer.seal(counter, head, body)
        });
        let Some(tag) = sealed else {
            into.truncate(start);
            self.unsealed += 1;
            return None;
        };
        into.extend(tag);
        self.counter += 1;
        self.sealed += 1;
        Some(start..into.len())
    }

    /// Open one datagram in place; whose it is, and where its RTP packet lies in it.
    ///
    /// `known`: it came from the other host's address.
    pub fn open(&mut self, datagram: &mut [u8], known: bool) -> Option<(Slot, Range<usize>)> {
        self.received += 1;
        self.bytes += datagram.len() as u64;
        match self.judge(datagram, known) {
            Ok(opened) => {
                self.opened += 1;
                Some(opened)
            }
            Err(refusal) => {
                self.refused[refusal as usize] += 1;
                None
            }
        }
    }

    fn judge(
        &mut self,
        datagram: &mut [u8],
        known: bool,
    ) -> Result<(Slot, Range<usize>), TrunkRefusal> {
        if datagram.len() < TRUNK_BYTES {
            return Err(TrunkRefusal::NotTrunk);
        }
        let (head, body) = datagram.split_at_mut(HEAD_BYTES);
        let &mut [VERSION, epoch, c0, c1, c2, c3, c4, c5, n0, n1, n2, n3] = head else {
            return Err(TrunkRefusal::NotTrunk);
        };
        if !known {
            return Err(TrunkRefusal::ForeignSource);
        }
        let counter = u64::from_be_bytes([0, 0, c0, c1, c2, c3, c4, c5]);
        let mut openers = self.openers.iter_mut().flatten();
        let opener = openers
            .find(|it| it.epoch == epoch)
            .ok_or(TrunkRefusal::UnknownEpoch)?;
        if !opener.replay.admits(counter) {
            return Err(TrunkRefusal::Replayed);
        }
        let length = opener
            .open(counter, head, body)
            .ok_or(TrunkRefusal::BadTag)?;
        opener.replay.commit(counter);
        let number = u32::from_be_bytes([n0, n1, n2, n3]);
        let slot = self.slots.get(&number).ok_or(TrunkRefusal::UnknownStream)?;
        Ok((*slot, HEAD_BYTES..HEAD_BYTES + length))
    }

    pub fn count_unsent(&mut self, packets: usize) {
        self.unsent += packets as u64;
    }

    pub fn counters(&self) -> TrunkCounters {
        let refused = |it: TrunkRefusal| self.refused[it as usize];
        let spans = self.openers.iter().flatten().map(|it| it.replay.span());
        let authentic = self.opened + refused(TrunkRefusal::UnknownStream);
        TrunkCounters {
            received: self.received,
            opened: self.opened,
            bytes: self.bytes,
            lost: (self.retired + spans.sum::<u64>()).saturating_sub(authentic),
            refused: TRUNK_REFUSALS
                .iter()
                .map(|it| (it.name(), refused(*it)))
                .collect(),
            sealed: self.sealed,
            unsealed: self.unsealed,
            unsent: self.unsent,
            fresh_key: self.openers[0]
                .as_ref()
                .is_some_and(|it| it.replay.span() == 0),
        }
    }
}

/// Without the keys.
impl std::fmt::Debug for Trunk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = formatter.debug_struct("Trunk");
        told.field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
