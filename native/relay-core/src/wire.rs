//! Commands, events and counters as they are written down: the JSON that `media/relay.py` reads and writes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::Agreed;
use crate::network::Network;

/// The tag is the Python class's name; every field is there, defaults too.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub enum Command {
    Open(Place),
    Expect(Expect),
    AddViewer(ViewerPlace),
    AimViewer(Aim),
    DropViewer(ViewerName),
    Close(StreamName),
    Join(Join),
    OpenFromTrunk(OpenFromTrunk),
    ViewOverTrunk(ViewOverTrunk),
}

impl Command {
    /// Does somebody wait for its answer? What names a stream that is gone does nothing otherwise.
    pub fn binds(&self) -> bool {
        matches!(
            self,
            Self::Open(_) | Self::AddViewer(_) | Self::Join(_) | Self::OpenFromTrunk(_)
        )
    }

    /// # Errors
    /// A sentence for the log, when `json` is no command.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("no relay command: {error}"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub stream: String,
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewerPlace {
    pub stream: String,
    pub viewer: String,
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewerName {
    pub stream: String,
    pub viewer: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamName {
    pub stream: String,
}

/// The trunk's port of ours, and the other host's.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    pub address: IpAddr,
    pub port: u16,
    pub host: IpAddr,
    pub host_port: u16,
}

impl Join {
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.host_port)
    }
}

/// A stream that comes over the trunk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenFromTrunk {
    pub stream: String,
    pub number: u32,
}

/// A viewer whose packets go over the trunk, from now on.
#[derive(Debug, Deserialize)]
#[serde(try_from = "ViewOverTrunkWire")]
pub struct ViewOverTrunk {
    pub stream: String,
    pub viewer: String,
    /// Its SSRC on the trunk, too.
    pub number: u32,
    pub payload_type: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewOverTrunkWire {
    stream: String,
    viewer: String,
    number: u32,
    payload_type: u8,
}

impl TryFrom<ViewOverTrunkWire> for ViewOverTrunk {
    type Error = String;

    fn try_from(wire: ViewOverTrunkWire) -> Result<Self, String> {
        Ok(Self {
            stream: wire.stream,
            viewer: wire.viewer,
            number: wire.number,
            payload_type: payload_type(wire.payload_type)?,
        })
    }
}

impl ViewOverTrunk {
    /// What it is to its stream: a viewer at the other host.
    pub fn aim(&self, peer: SocketAddr) -> Aim {
        Aim {
            stream: self.stream.clone(),
            viewer: self.viewer.clone(),
            destination: peer,
            ssrc: self.number,
            payload_type: self.payload_type,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "ExpectWire")]
pub struct Expect {
    pub stream: String,
    pub agreed: Agreed,
    pub first: Duration,
    pub idle: Duration,
    /// Packets kept for the first viewer while it is not aimed yet.
    pub hold: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectWire {
    stream: String,
    source: Vec<String>,
    source_port: Option<u16>,
    ssrc: Option<u32>,
    payload_type: u8,
    packs: bool,
    first_seconds: f64,
    idle_seconds: f64,
    max_bits_per_second: u64,
    hold_packets: u16,
}

impl TryFrom<ExpectWire> for Expect {
    type Error = String;

    fn try_from(wire: ExpectWire) -> Result<Self, String> {
        let networks: Result<_, _> = wire.source.iter().map(|it| Network::parse(it)).collect();
        let seconds = |it| Duration::try_from_secs_f64(it).map_err(|error| error.to_string());
        Ok(Self {
            stream: wire.stream,
            agreed: Agreed {
                networks: networks.map_err(|error| error.to_string())?,
                source_port: wire.source_port,
                ssrc: wire.ssrc,
                payload_type: payload_type(wire.payload_type)?,
                packs: wire.packs,
                bits_per_second: wire.max_bits_per_second,
            },
            first: seconds(wire.first_seconds)?,
            idle: seconds(wire.idle_seconds)?,
            hold: wire.hold_packets.into(),
        })
    }
}

/// Where a viewer's packets go, and what they say they are.
#[derive(Debug, Deserialize)]
#[serde(try_from = "AimWire")]
pub struct Aim {
    pub stream: String,
    pub viewer: String,
    pub destination: SocketAddr,
    pub ssrc: u32,
    pub payload_type: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AimWire {
    stream: String,
    viewer: String,
    host: IpAddr,
    port: u16,
    ssrc: u32,
    payload_type: u8,
}

impl TryFrom<AimWire> for Aim {
    type Error = String;

    fn try_from(wire: AimWire) -> Result<Self, String> {
        Ok(Self {
            stream: wire.stream,
            viewer: wire.viewer,
            destination: SocketAddr::new(wire.host, wire.port),
            ssrc: wire.ssrc,
            payload_type: payload_type(wire.payload_type)?,
        })
    }
}

fn payload_type(value: u8) -> Result<u8, String> {
    match value {
        0..=127 => Ok(value),
        _ => Err(format!("payload type {value} does not fit into seven bits")),
    }
}

/// What a command is answered with.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Answer {
    Bound {
        port: u16,
    },
    Refused {
        error: String,
        /// Somebody else holds that port: another may be free.
        taken: bool,
    },
    Done {},
}

impl Answer {
    /// # Panics
    /// Never: nothing in it can fail to be written.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum Event {
    /// The first packet was admitted.
    Started {
        stream: String,
        ssrc: u32,
        source: (IpAddr, u16),
        /// Seconds on the caller's clock.
        at: f64,
    },
    Starved {
        stream: String,
        kind: Kind,
    },
    /// A socket of the stream can't be used any more; `viewer` says whose, `None` the receiving one.
    Failed {
        stream: String,
        viewer: Option<String>,
        reason: String,
    },
}

impl Event {
    /// The list that `take_events` hands out.
    pub fn write(events: &[Self]) -> Vec<u8> {
        serde_json::to_vec(events).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    NoMedia,
    MediaLost,
}

/// Packets and bytes since the stream was opened; only ever rising.
#[derive(Debug, Default, Serialize)]
pub struct StreamCounters {
    pub received: u64,
    pub admitted: u64,
    /// Bytes of the admitted datagrams, without UDP and IP headers.
    pub bytes: u64,
    pub refused: BTreeMap<&'static str, u64>,
    /// Admitted packets that wait for the first viewer.
    pub held: usize,
    /// Admitted packets that were not kept for it: more than were to be held.
    pub held_dropped: u64,
    /// Packets that the sender numbered and that never came.
    pub lost: u64,
    /// When the first and the newest packet were admitted, in seconds on the caller's clock.
    pub first: Option<f64>,
    pub last: Option<f64>,
    /// What the newest packet called itself that was refused for its SSRC.
    pub foreign_ssrc: Option<u32>,
    pub viewers: BTreeMap<String, ViewerCounters>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ViewerCounters {
    pub sent: u64,
    /// Bytes of the sent datagrams, without UDP and IP headers.
    pub bytes: u64,
    /// Packets that the operating system did not take.
    pub unsent: u64,
}

/// Of the trunk since it was joined; only ever rising, but for `lost`, which a late packet lowers.
#[derive(Debug, Default, Serialize)]
pub struct TrunkCounters {
    /// Datagrams that came: opened or refused.
    pub received: u64,
    pub opened: u64,
    /// Bytes of all that came, without UDP and IP headers.
    pub bytes: u64,
    /// Packets that the other host sealed and that have not come.
    pub lost: u64,
    pub refused: BTreeMap<&'static str, u64>,
    pub sealed: u64,
    /// Packets for which there was no key, or none that was not spent.
    pub unsealed: u64,
    /// Sealed packets that the operating system did not take.
    pub unsent: u64,
    /// Nothing came yet under the newest key that we gave away.
    pub fresh_key: bool,
}

#[derive(Debug, Default, Serialize)]
pub struct Counters {
    pub streams: BTreeMap<String, StreamCounters>,
    pub receiving_sockets: usize,
    pub sending_sockets: usize,
    /// `None` without a trunk.
    pub trunk: Option<TrunkCounters>,
}

impl Counters {
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
