//! Sending datagrams in batches, as trains of equal length (`UDP_SEGMENT`).
//!
//! The kernel's path costs some microseconds for each datagram it handles and next to nothing for each
//! segment in it, so batches of one stream to one receiver leave as few, long datagrams.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Limits of the kernel for one train.
const TRAIN_PACKETS: usize = 64;
const TRAIN_BYTES: usize = 65_000;
/// What an Ethernet of 1,500 carries whole. The kernel cuts nothing longer; it is sent in fragments, alone.
const SEGMENT_BYTES: usize = 1472;
/// Room for one control message with an int, aligned as the kernel wants it.
pub(crate) type Control = [u64; 4];

/// Ask for kernel memory for datagrams that wait; the system may give less, which is no error.
pub fn ask_buffers(socket: &UdpSocket, receive: i32, send: i32) {
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, receive);
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, send);
}

/// The same beyond the system's limit, where we may (`CAP_NET_ADMIN`): for the one socket that carries all.
pub fn ask_large_buffers(socket: &UdpSocket, bytes: i32) {
    ask_buffers(socket, bytes, bytes);
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes);
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes);
}

pub(crate) fn set_option(socket: &UdpSocket, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4);
    // SAFETY: `value` is a valid int for the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A packet to send: a header of ours before a payload that stays where it was received.
#[derive(Debug, Clone)]
pub struct Packet<const HEADER: usize> {
    pub header: [u8; HEADER],
    pub payload: Range<usize>,
}

impl<const HEADER: usize> Packet<HEADER> {
    fn bytes(&self) -> usize {
        HEADER + self.payload.len()
    }
}

/// What the system took of a batch, and what it did not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub packets: usize,
    pub bytes: usize,
    pub unsent: usize,
}

/// Some packets that leave in one datagram of the kernel's: all of `segment` bytes, the last maybe shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Train {
    packets: Range<usize>,
    bytes: usize,
    segment: usize,
}

/// Cut `lengths` into the fewest trains that keep their order.
fn plan(lengths: impl Iterator<Item = usize>, first: usize, merge: bool, trains: &mut Vec<Train>) {
    trains.clear();
    for (index, bytes) in (first..).zip(lengths) {
        match trains.last_mut() {
            Some(train) if merge && train.takes(bytes) => {
                train.packets.end += 1;
                train.bytes += bytes;
            }
            _ => trains.push(Train {
                packets: index..index + 1,
                bytes,
                segment: bytes,
            }),
        }
    }
}

impl Train {
    fn takes(&self, bytes: usize) -> bool {
        let whole = self.bytes == self.segment * self.packets.len(); // no shorter one has ended it
        let room = self.packets.len() < TRAIN_PACKETS && self.bytes + bytes <= TRAIN_BYTES;
        whole && room && bytes <= self.segment && self.segment <= SEGMENT_BYTES
    }
}

/// Sends batches of packets; keeps its lists from one batch to the next.
#[derive(Default)]
pub struct Sender {
    pieces: Vec<libc::iovec>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
    trains: Vec<Train>,
}

impl Sender {
    /// Send `packets`, whose payloads lie in `bytes`, from a socket that does not block, to where it is
    /// connected or to `destination`.
    ///
    /// `merge` turns false for good when the socket's device can't cut trains. What the system won't take
    /// is dropped and counted: media that wait are of no use.
    pub fn send<const HEADER: usize>(
        &mut self,
        socket: &UdpSocket,
        bytes: &[u8],
        packets: &[Packet<HEADER>],
        destination: Option<SocketAddr>,
        merge: &mut bool,
    ) -> Sent {
        let mut name = destination.map(name_of);
        self.pieces.clear();
        for packet in packets {
            let payload = &bytes[packet.payload.clone()];
            self.pieces.extend([piece(&packet.header), piece(payload)]);
        }
        let mut sent = Sent::default();
        let mut refused_before = false;
        let mut first = 0;
        plan(
            packets.iter().map(Packet::bytes),
            0,
            *merge,
            &mut self.trains,
        );
        while first < packets.len() {
            match self.send_trains(socket, name.as_mut()) {
                Ok(count) => {
                    refused_before = false;
                    for train in self.trains.iter().take(count) {
                        sent.packets += train.packets.len();
                        sent.bytes += train.bytes;
                        first = train.packets.end;
                    }
                }
                Err(error) if cuts_no_trains(&error) && self.trains[0].packets.len() > 1 => {
                    *merge = false;
                }
                // An earlier packet found nobody listening; this one was not tried yet.
                Err(error) if is(&error, libc::ECONNREFUSED) && !refused_before => {
                    refused_before = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sent.unsent += packets.len() - first;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    sent.unsent += self.trains[0].packets.len();
                    first = self.trains[0].packets.end;
                    refused_before = false;
                }
            }
            let rest = packets[first..].iter().map(Packet::bytes);
            plan(rest, first, *merge, &mut self.trains);
        }
        sent
    }

    /// One system call; return how many of the trains it took (at least one).
    fn send_trains(
        &mut self,
        socket: &UdpSocket,
        mut name: Option<&mut Name>,
    ) -> io::Result<usize> {
        self.controls.clear();
        self.controls.resize(self.trains.len(), [0; 4]);
        self.headers.clear();
        for (train, control) in self.trains.iter().zip(&mut self.controls) {
            // SAFETY: all zeroes is a valid header: no name, no buffers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            let pieces = &mut self.pieces[2 * train.packets.start..2 * train.packets.end];
            if let Some((name, length)) = name.as_deref_mut() {
                header.msg_hdr.msg_name = (&raw mut *name).cast();
                header.msg_hdr.msg_namelen = *length;
            }
            header.msg_hdr.msg_iov = pieces.as_mut_ptr();
            header.msg_hdr.msg_iovlen = pieces.len() as _;
            if train.packets.len() > 1 {
                write_segment(&mut header.msg_hdr, control, train.segment);
            }
            self.headers.push(header);
        }
        let count = libc::c_uint::try_from(self.headers.len()).unwrap_or(libc::c_uint::MAX);
        let (descriptor, headers) = (socket.as_raw_fd(), self.headers.as_mut_ptr());
        // SAFETY: the headers point into `pieces`, `controls`, `name` and what the caller of `send` lends, none
        // of which moves or ends before the call returns.
        let taken = unsafe { libc::sendmmsg(descriptor, headers, count, libc::MSG_DONTWAIT) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

/// An address as the kernel wants it, and its length.
type Name = (libc::sockaddr_storage, libc::socklen_t);

fn name_of(address: SocketAddr) -> Name {
    // SAFETY: all zeroes is a valid address structure (family unspecified).
    let mut name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let place: *mut libc::sockaddr_storage = &raw mut name;
    let length = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage is large enough and aligned for each family's structure.
            let written = unsafe { &mut *place.cast::<libc::sockaddr_in>() };
            written.sin_family = family(libc::AF_INET);
            written.sin_port = v4.port().to_be();
            written.sin_addr.s_addr = v4.ip().to_bits().to_be();
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let written = unsafe { &mut *place.cast::<libc::sockaddr_in6>() };
            written.sin6_family = family(libc::AF_INET6);
            written.sin6_port = v6.port().to_be();
            written.sin6_addr.s6_addr = v6.ip().octets();
            written.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    };
    (name, libc::socklen_t::try_from(length).unwrap_or(0))
}

fn family(number: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(number).unwrap_or(0)
}

fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(), // only ever read: it is for sending
        iov_len: bytes.len(),
    }
}

fn write_segment(header: &mut libc::msghdr, control: &mut Control, segment: usize) {
    let segment = u16::try_from(segment).unwrap_or(u16::MAX); // a train of two is below 65,000 bytes
    let length = libc::c_uint::try_from(size_of::<u16>()).unwrap_or(2);
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: computes a length only.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(length) } as _;
    // SAFETY: `control` has room for CMSG_SPACE(2) = 24 bytes and is aligned for `cmsghdr`.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(length) as _;
        libc::CMSG_DATA(message)
            .cast::<u16>()
            .write_unaligned(segment);
    }
}

fn is(error: &io::Error, code: i32) -> bool {
    error.raw_os_error() == Some(code)
}

fn cuts_no_trains(error: &io::Error) -> bool {
    [libc::EINVAL, libc::EIO, libc::EMSGSIZE]
        .iter()
        .any(|&code| is(error, code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Arena, take_merged};

    fn cut(lengths: &[usize], merge: bool) -> Vec<Range<usize>> {
        let mut trains = Vec::new();
        plan(lengths.iter().copied(), 0, merge, &mut trains);
        trains.into_iter().map(|it| it.packets).collect()
    }

    #[test]
    fn a_train_has_equal_packets_and_may_end_with_a_shorter_one() {
        assert_eq!(
            cut(&[1400, 1400, 300, 1400, 1400, 1401], true),
            [0..3, 3..5, 5..6]
        );
        assert_eq!(cut(&[300, 200, 200], true), [0..2, 2..3]);
        assert_eq!(cut(&[9, 9], false), [0..1, 1..2]);
        assert_eq!(cut(&[], true), []);
    }

    #[test]
    fn a_train_keeps_the_limits_of_the_kernel() {
        assert_eq!(cut(&[100; 130], true), [0..64, 64..128, 128..130]);
        assert_eq!(cut(&[1400; 50], true), [0..46, 46..50]);
    }

    fn pair() -> (UdpSocket, UdpSocket) {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        ask_buffers(&receiver, 1 << 21, 1 << 21);
        (sender, receiver)
    }

    fn batch(payload: &[u8]) -> Vec<Packet<4>> {
        let lengths = [1000, 1000, 1000, 10, 0, 700, 700];
        let packets = lengths.into_iter().zip(0_u8..);
        packets
            .map(|(length, at)| Packet {
                header: [at; 4],
                payload: 7..7 + length.min(payload.len()),
            })
            .collect()
    }

    fn expected(payload: &[u8], packets: &[Packet<4>]) -> Vec<Vec<u8>> {
        packets
            .iter()
            .map(|it| [&it.header, &payload[it.payload.clone()]].concat())
            .collect()
    }

    #[test]
    fn what_no_ethernet_carries_whole_goes_alone() {
        assert_eq!(
            cut(&[1472, 1472, 1473, 1473, 1400, 1400], true),
            [0..2, 2..3, 3..4, 4..6]
        );
    }

    #[test]
    fn an_unconnected_socket_sends_to_the_address_named() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let (Ok(sender), Ok(receiver)) = (UdpSocket::bind(host), UdpSocket::bind(host)) else {
                assert!(host.contains("::1"), "a machine without IPv6");
                continue;
            };
            let packets = batch(&[1; 2000]);
            let there = receiver.local_addr().unwrap();
            let sent =
                Sender::default().send(&sender, &[1; 2000], &packets, Some(there), &mut true);
            assert_eq!((sent.packets, sent.unsent), (7, 0));
            let mut buffer = [0; 2000];
            for datagram in expected(&[1; 2000], &packets) {
                let (length, source) = receiver.recv_from(&mut buffer).unwrap();
                assert_eq!(buffer[..length], datagram);
                assert_eq!(source, sender.local_addr().unwrap());
            }
        }
    }

    #[test]
    fn trains_arrive_as_the_packets_that_they_were_made_of() {
        let (sender, receiver) = pair();
        let payload: Vec<u8> = (0..=255).cycle().take(2000).collect();
        let packets = batch(&payload);
        let mut merge = true;
        let sent = Sender::default().send(&sender, &payload, &packets, None, &mut merge);
        assert_eq!(
            (sent.packets, sent.bytes, sent.unsent, merge),
            (7, 4438, 0, true)
        );
        let mut buffer = [0; 2000];
        for datagram in expected(&payload, &packets) {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..length], datagram);
        }
    }

    #[test]
    fn a_merged_train_is_taken_apart_again() {
        let (sender, receiver) = pair();
        take_merged(&receiver);
        let payload: Vec<u8> = (0..=255).cycle().take(2000).collect();
        let packets = batch(&payload);
        Sender::default().send(&sender, &payload, &packets, None, &mut true);
        let mut arena = Arena::default();
        assert!(!arena.receive(&receiver).unwrap());
        let taken = arena
            .packets()
            .iter()
            .map(|(range, _)| arena.bytes()[range.clone()].to_vec());
        assert_eq!(taken.collect::<Vec<_>>(), expected(&payload, &packets));
        let source = sender.local_addr().unwrap();
        assert!(arena.packets().iter().all(|(_, it)| *it == source));
        assert!(!arena.receive(&receiver).unwrap() && arena.packets().is_empty());
    }

    #[test]
    fn a_device_that_cannot_cut_trains_gets_packets() {
        let (sender, receiver) = pair();
        set_option(&sender, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap(); // the kernel then refuses
        let payload = [1; 2000];
        let packets = batch(&payload);
        let mut merge = true;
        let sent = Sender::default().send(&sender, &payload, &packets, None, &mut merge);
        assert_eq!((sent.packets, sent.unsent, merge), (7, 0, false));
        let mut buffer = [0; 2000];
        for datagram in expected(&payload, &packets) {
            assert_eq!(receiver.recv(&mut buffer).unwrap(), datagram.len());
        }
    }

    #[test]
    fn a_receiver_that_went_away_ends_nothing() {
        let (sender, receiver) = pair();
        drop(receiver);
        let (mut lists, mut merge) = (Sender::default(), true);
        let packets = batch(&[1; 2000]);
        for _ in 0..3 {
            let sent = lists.send(&sender, &[1; 2000], &packets, None, &mut merge);
            assert_eq!(sent.packets + sent.unsent, 7);
        }
        assert!(merge);
    }
}
