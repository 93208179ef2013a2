//! Decides, packet by packet, whether an RTP datagram belongs to the stream that was agreed.
//!
//! No socket and no clock: the caller passes `now`. The same code serves the relay thread and the tests.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::network::Network;
use crate::rtp::Rtp;
use crate::window::Window;

/// Every program stream's pack starts so (GB/T 28181 media are PS unless agreed otherwise).
const PACK_HEADER: &[u8] = &[0, 0, 1, 0xba];

/// Why a packet was dropped. One counter each; the order is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Shorter than its own header says (RFC 3550 section 5.1), or not version 2.
    NotRtp,
    /// Nothing is agreed yet: whoever sends before the answer is not who was invited.
    BeforeAnswer,
    /// From outside the agreed networks, or from another sender than the first admitted packet's.
    ForeignSource,
    /// Another SSRC than the agreed or the learnt one.
    ForeignSsrc,
    /// Another payload type than the agreed one.
    ForeignPayloadType,
    /// The SSRC is still to be learnt, and only a packet that starts a pack may teach it.
    NoPackHeader,
    /// A jump of the sequence that no second packet has confirmed yet.
    OutsideWindow,
    /// This sequence number was admitted before.
    Duplicate,
    /// The stream is over its rate.
    OverRate,
}

/// All of them, in the order of the checks.
pub const REFUSALS: [Refusal; 9] = [
    Refusal::NotRtp,
    Refusal::BeforeAnswer,
    Refusal::ForeignSource,
    Refusal::ForeignSsrc,
    Refusal::ForeignPayloadType,
    Refusal::NoPackHeader,
    Refusal::OutsideWindow,
    Refusal::Duplicate,
    Refusal::OverRate,
];

impl Refusal {
    /// The counter's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotRtp => "not_rtp",
            Self::BeforeAnswer => "before_answer",
            Self::ForeignSource => "foreign_source",
            Self::ForeignSsrc => "foreign_ssrc",
            Self::ForeignPayloadType => "foreign_payload_type",
            Self::NoPackHeader => "no_pack_header",
            Self::OutsideWindow => "outside_window",
            Self::Duplicate => "duplicate",
            Self::OverRate => "over_rate",
        }
    }
}

/// What leaves of an admitted packet: its payload, and the three values a viewer needs of its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Where the payload lies in the datagram.
    pub payload: Range<usize>,
    pub marker: bool,
    pub timestamp: u32,
    /// The packet's number in the stream: rises by the same steps as the sender's sequence, never wraps.
    pub number: u64,
}

/// Who was agreed to send, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub networks: Vec<Network>,
    /// `None`: the first admitted packet's.
    pub source_port: Option<u16>,
    /// `None`: learnt from the first admitted packet.
    pub ssrc: Option<u32>,
    pub payload_type: u8,
    /// Program stream: a packet from which the number is learnt must start a pack.
    pub packs: bool,
    pub bits_per_second: u64,
}

/// The sender of the first admitted packet: nobody else is heard for the rest of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinned {
    pub source: SocketAddr,
    pub ssrc: u32,
}

#[derive(Debug)]
pub struct Admission {
    agreed: Agreed,
    pinned: Option<Pinned>,
    window: Window,
    bucket: Bucket,
}

impl Admission {
    /// `before`: the admission of the same stream that this one replaces; its numbers are continued.
    pub fn new(agreed: Agreed, before: Option<&Self>, now: Duration) -> Self {
        let bucket = Bucket::new(agreed.bits_per_second, now);
        let window = before.map_or_else(Window::new, |it| it.window.succeeding());
        Self {
            agreed,
            pinned: None,
            window,
            bucket,
        }
    }

    /// `None` until the first packet was admitted.
    pub fn pinned(&self) -> Option<Pinned> {
        self.pinned
    }

    /// How many packets its senders numbered so far.
    pub(crate) fn span(&self) -> u64 {
        self.window.span()
    }

    /// Judge one packet. A refused one costs no tokens and pins nothing, so noise can't starve the stream.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies, in the order of that enum.
    pub fn check(
        &mut self,
        rtp: Rtp,
        packet: &[u8],
        source: SocketAddr,
        now: Duration,
    ) -> Result<Admitted, Refusal> {
        self.check_source(source)?;
        let agreed_ssrc = self.pinned.map(|it| it.ssrc).or(self.agreed.ssrc);
        if agreed_ssrc.is_some_and(|it| it != rtp.ssrc) {
            return Err(Refusal::ForeignSsrc);
        }
        if rtp.payload_type != self.agreed.payload_type {
            return Err(Refusal::ForeignPayloadType);
        }
        let payload = packet.get(rtp.payload.clone()).unwrap_or_default();
        if self.agreed.packs && agreed_ssrc.is_none() && !payload.starts_with(PACK_HEADER) {
            return Err(Refusal::NoPackHeader);
        }
        let step = self.window.judge(rtp.sequence).inspect_err(|refusal| {
            if *refusal == Refusal::OutsideWindow {
                self.window.jumped(rtp.sequence);
            }
        })?;
        if !self.bucket.spend(packet.len(), now) {
            return Err(Refusal::OverRate);
        }
        self.pinned.get_or_insert(Pinned {
            source,
            ssrc: rtp.ssrc,
        });
        Ok(Admitted {
            payload: rtp.payload,
            marker: rtp.marker,
            timestamp: rtp.timestamp,
            number: self.window.commit(rtp.sequence, step),
        })
    }

    fn check_source(&self, source: SocketAddr) -> Result<(), Refusal> {
        let ours = match self.pinned {
            Some(pinned) => pinned.source == source,
            None => {
                self.agreed.source_port.is_none_or(|it| it == source.port())
                    && self
                        .agreed
                        .networks
                        .iter()
                        .any(|it| it.contains(source.ip()))
            }
        };
        if ours {
            Ok(())
        } else {
            Err(Refusal::ForeignSource)
        }
    }
}
