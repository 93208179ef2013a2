//! The RTP header (RFC 3550 section 5.1): what we take from one, and the one we write.

use std::ops::Range;

/// Length of the header we write: no CSRC list, no extension.
pub const HEADER_BYTES: usize = 12;

/// A header of ours, ready to stand before a payload.
pub type Header = [u8; HEADER_BYTES];

/// One RTP packet whose lengths agree with its datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtp {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Where the payload lies in the datagram: after CSRC list and extension, before the padding.
    pub payload: Range<usize>,
}

impl Rtp {
    /// Read one datagram; `None` unless it is RTP version 2 whose CSRC list, extension and padding lie inside it.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let [first, second, q0, q1, t0, t1, t2, t3, s0, s1, s2, s3, ..] = *packet else {
            return None;
        };
        if first >> 6 != 2 {
            return None;
        }
        let mut start = HEADER_BYTES + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let &[_, _, high, low] = packet.get(start..start + 4)? else {
                return None;
            };
            start += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        }
        let padding = match first & 0x20 {
            0 => 0,
            _ => usize::from(*packet.last()?),
        };
        let end = packet.len().checked_sub(padding)?;
        if start > end || (first & 0x20 != 0 && padding == 0) {
            return None;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([q0, q1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            payload: start..end,
        })
    }
}

/// Write a fresh header: version 2, nothing of the sender's but marker and timestamp.
pub(crate) fn write(
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
) -> Header {
    let [q0, q1] = sequence.to_be_bytes();
    let [t0, t1, t2, t3] = timestamp.to_be_bytes();
    let [s0, s1, s2, s3] = ssrc.to_be_bytes();
    let second = u8::from(marker) << 7 | payload_type & 0x7f;
    [0x80, second, q0, q1, t0, t1, t2, t3, s0, s1, s2, s3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let header = write(true, 96, 65_535, 0xdead_beef, 106_000_001);
        let rtp = Rtp::read(&header).unwrap();
        assert!(rtp.marker);
        assert_eq!((rtp.payload_type, rtp.sequence), (96, 65_535));
        assert_eq!((rtp.timestamp, rtp.ssrc), (0xdead_beef, 106_000_001));
        assert_eq!(rtp.payload, 12..12);
    }

    #[test]
    fn csrc_extension_and_padding_are_not_payload() {
        let mut packet = write(false, 96, 1, 2, 3).to_vec();
        packet[0] |= 0x20 | 0x10 | 2;
        packet.extend([0; 8]); // two CSRCs
        packet.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // an extension of one word
        packet.extend(b"payload\0\0\x03");
        let rtp = Rtp::read(&packet).unwrap();
        assert_eq!(&packet[rtp.payload], b"payload");
    }

    #[test]
    fn lengths_that_leave_the_packet_are_refused() {
        let plain = write(false, 96, 1, 2, 3);
        let with = |first: u8, rest: &[u8]| {
            let mut packet = plain.to_vec();
            packet[0] = first;
            packet.extend(rest);
            Rtp::read(&packet)
        };
        assert_eq!(with(0x8f, &[0; 59]), None, "15 CSRCs need 60 bytes");
        assert_eq!(
            with(0x90, &[0, 0, 0]),
            None,
            "an extension's header needs 4"
        );
        assert_eq!(
            with(0x90, &[0, 0, 0, 2, 1, 2, 3, 4]),
            None,
            "extension of 2 words"
        );
        assert_eq!(with(0xa0, &[1, 2, 0]), None, "padding counts itself");
        assert_eq!(
            with(0xa0, &[1, 2, 4]),
            None,
            "padding longer than the payload"
        );
        assert_eq!(with(0x40, &[]), None, "version 1");
        assert_eq!(Rtp::read(&plain[..11]), None, "shorter than the header");
        assert_eq!(
            with(0xa0, &[1, 2, 3]).unwrap().payload,
            12..12,
            "nothing but padding"
        );
    }
}
