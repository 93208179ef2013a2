//! One UDP socket that takes and gives datagrams in batches.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

/// Datagrams in one system call.
pub const BATCH: usize = 128;
const BATCH_COUNT: libc::c_uint = 128;
/// What most datagrams fit into. An odd number of cache lines, so that slots do not lie on the same ones.
const SLOT: usize = 1600;
/// The largest datagram.
const LARGEST: usize = 65_535;

/// Where received datagrams lie until the next call: in slots close together, which stay warm. What is longer goes
/// on in a place of its own, and is put together there; that memory is touched only as far as datagrams reach.
pub struct Inbox {
    slots: Box<[u8]>,
    large: Box<[u8]>,
    sources: Box<[libc::sockaddr_storage; BATCH]>,
    lengths: [usize; BATCH],
    count: usize,
}

impl Inbox {
    pub fn new() -> Self {
        Inbox {
            slots: vec![0; BATCH * SLOT].into_boxed_slice(),
            large: vec![0; BATCH * LARGEST].into_boxed_slice(),
            // SAFETY: sockaddr_storage is plain old data, for which all zeros is AF_UNSPEC.
            sources: Box::new(unsafe { zeroed() }),
            lengths: [0; BATCH],
            count: 0,
        }
    }

    /// What the last `receive` brought. What has no source that we understand is left out.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        (0..self.count).filter_map(|index| {
            let (memory, start) = match self.lengths[index] {
                ..=SLOT => (&self.slots, index * SLOT),
                _ => (&self.large, index * LARGEST),
            };
            let source = from_raw(&self.sources[index])?;
            Some((&memory[start..start + self.lengths[index]], source))
        })
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

pub struct Udp {
    socket: UdpSocket,
    v6: bool,
}

/// What became of a datagram given to [`Udp::send`].
#[derive(Debug)]
pub enum Sent {
    Yes,
    /// The kernel's buffer is full: as good as lost on the way.
    Dropped,
    Refused(io::Error),
}

impl Udp {
    /// Bind, and ask for a receive buffer of so many bytes.
    pub fn bind(local: SocketAddr, receive_buffer: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        let udp = Udp {
            socket,
            v6: local.is_ipv6(),
        };
        let asked = i32::try_from(receive_buffer).unwrap_or(i32::MAX);
        // The kernel gives what its own limit allows; `receive_buffer` tells.
        udp.set_option(libc::SO_RCVBUF, asked)?;
        Ok(udp)
    }

    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn set_option(&self, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: the pointer and length are those of a live c_int, and the descriptor is open.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                length_of::<libc::c_int>(),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Bytes of receive buffer that the kernel granted (it counts its own overhead in, and doubles).
    pub fn receive_buffer(&self) -> io::Result<usize> {
        let mut value: libc::c_int = 0;
        let mut length = length_of::<libc::c_int>();
        // SAFETY: the kernel writes at most `length` bytes into a live c_int.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(usize::try_from(value).unwrap_or(0) / 2)
    }

    /// Take what is there, up to [`BATCH`] datagrams, without waiting; how many came.
    pub fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.count = 0;
        // SAFETY: iovec and mmsghdr are plain old data, for which all zeros is valid.
        let (mut pieces, mut messages): ([[libc::iovec; 2]; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { (zeroed(), zeroed()) };
        let slots = inbox.slots.chunks_exact_mut(SLOT);
        let larges = inbox.large.chunks_exact_mut(LARGEST);
        for (index, (slot, large)) in slots.zip(larges).enumerate() {
            pieces[index] = [slot, &mut large[SLOT..]].map(|piece| libc::iovec {
                iov_base: piece.as_mut_ptr().cast(),
                iov_len: piece.len(),
            });
            let header = &mut messages[index].msg_hdr;
            header.msg_name = (&raw mut inbox.sources[index]).cast();
            header.msg_namelen = length_of::<libc::sockaddr_storage>();
            header.msg_iov = pieces[index].as_mut_ptr();
            header.msg_iovlen = 2;
        }
        // SAFETY: each header points at its own two pieces and its source, each piece at memory of its own and
        // of its length; all of them outlive the call, and BATCH is the length of `messages`.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH_COUNT,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if is_nothing(&error) {
                Ok(0)
            } else {
                Err(error)
            };
        };
        for (index, message) in messages[..count].iter().enumerate() {
            inbox.lengths[index] = (message.msg_len as usize).min(LARGEST);
            if inbox.lengths[index] > SLOT {
                let begin = &inbox.slots[index * SLOT..][..SLOT];
                inbox.large[index * LARGEST..][..SLOT].copy_from_slice(begin);
            }
        }
        inbox.count = count;
        Ok(count)
    }

    /// Send all of them in order, and say of each what became of it.
    pub fn send<'a>(
        &self,
        datagrams: impl IntoIterator<Item = (&'a [u8], SocketAddr)>,
        mut tell: impl FnMut(usize, Sent),
    ) {
        let mut datagrams = datagrams.into_iter().peekable();
        let mut first = 0;
        while datagrams.peek().is_some() {
            // Filled as far as there are datagrams: most turns have few.
            let mut names = [const { MaybeUninit::<Name>::uninit() }; BATCH];
            let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
            let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
            let mut count = 0;
            for (bytes, destination) in datagrams.by_ref().take(BATCH) {
                let (name, length) = Name::of(destination, self.v6);
                // The kernel only reads from a piece that is sent; the type has no const form.
                let piece = pieces[count].write(libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                });
                // SAFETY: plain old data, for which all zeros is valid.
                let message = messages[count].write(unsafe { zeroed() });
                message.msg_hdr.msg_name = (&raw mut *names[count].write(name)).cast();
                message.msg_hdr.msg_namelen = length;
                message.msg_hdr.msg_iov = piece;
                message.msg_hdr.msg_iovlen = 1;
                count += 1;
            }
            // SAFETY: the first `count` were written just now.
            let messages =
                unsafe { std::slice::from_raw_parts_mut(messages.as_mut_ptr().cast(), count) };
            self.send_batch(messages, |index, sent| {
                tell(first + index, sent);
            });
            first += count;
        }
    }

    /// The headers must point at live names and pieces; only `send` calls this.
    fn send_batch(&self, messages: &mut [libc::mmsghdr], mut tell: impl FnMut(usize, Sent)) {
        let mut done = 0;
        while done < messages.len() {
            let rest = &mut messages[done..];
            let length = libc::c_uint::try_from(rest.len()).unwrap_or(0);
            // SAFETY: `rest` holds `length` headers whose names and pieces live in `send`, and whose
            // pieces borrow the caller's datagrams for longer than this call.
            let sent = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    length,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(sent @ 1..) = usize::try_from(sent) {
                for index in done..done + sent {
                    tell(index, Sent::Yes);
                }
                done += sent;
                continue;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                // An ICMP error of an earlier datagram is reported once; this one was not tried.
                Some(libc::EINTR | libc::ECONNREFUSED) => continue,
                Some(libc::EAGAIN | libc::ENOBUFS) => tell(done, Sent::Dropped),
                _ => tell(done, Sent::Refused(error)),
            }
            done += 1;
        }
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Nothing to read now; an ICMP error of something sent earlier is no reason to stop either.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EINTR | libc::ECONNREFUSED)
    )
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn from_raw(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in, which is smaller and no
            // more strictly aligned.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
            Some(SocketAddr::from((address, u16::from_be(raw.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            let port = u16::from_be(raw.sin6_port);
            Some(match address.to_canonical() {
                IpAddr::V4(address) => SocketAddr::from((address, port)),
                IpAddr::V6(address) => {
                    SocketAddr::V6(SocketAddrV6::new(address, port, 0, raw.sin6_scope_id))
                }
            })
        }
        _ => None,
    }
}

/// An address as the kernel reads it.
#[derive(Clone, Copy)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    /// For a socket of that family; and how long it is.
    fn of(address: SocketAddr, v6: bool) -> (Self, libc::socklen_t) {
        let port = address.port().to_be();
        let (ip, scope) = match address {
            SocketAddr::V4(address) if !v6 => {
                let v4 = libc::sockaddr_in {
                    sin_family: family(libc::AF_INET),
                    sin_port: port,
                    sin_addr: libc::in_addr {
                        s_addr: u32::from(*address.ip()).to_be(),
                    },
                    sin_zero: [0; 8],
                };
                return (Name { v4 }, length_of::<libc::sockaddr_in>());
            }
            SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(address) => (*address.ip(), address.scope_id()),
        };
        let v6 = libc::sockaddr_in6 {
            sin6_family: family(libc::AF_INET6),
            sin6_port: port,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr {
                s6_addr: ip.octets(),
            },
            sin6_scope_id: scope,
        };
        (Name { v6 }, length_of::<libc::sockaddr_in6>())
    }
}

fn family(family: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> (Udp, SocketAddr) {
        let udp = Udp::bind("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
        let local = udp.local().unwrap();
        (udp, local)
    }

    #[test]
    fn more_than_a_batch_arrives_in_order_and_whole() {
        let ((one, from), (two, to)) = (bound(), bound());
        let long = |n: u8| match n {
            40 => 65_507,
            41 => 9000,
            _ => [0, SLOT - 1, SLOT, SLOT + 1, 1, 2, 3, 4, 5, 6][usize::from(n) % 10],
        };
        let fill = |n: u8| (0..long(n)).map(|at| n ^ at.to_le_bytes()[0]).collect();
        let sent: Vec<Vec<u8>> = (0..70u8).map(fill).collect();
        let mut outcomes = 0;
        one.send(
            sent.iter().map(|bytes| (bytes.as_slice(), to)),
            |index, outcome| {
                assert_eq!(index, outcomes);
                assert!(matches!(outcome, Sent::Yes));
                outcomes += 1;
            },
        );
        assert_eq!(outcomes, 70);
        let (mut inbox, mut received) = (Inbox::new(), Vec::new());
        while two.receive(&mut inbox).unwrap() > 0 {
            received.extend(inbox.datagrams().map(|(bytes, source)| {
                assert_eq!(source, from);
                bytes.to_vec()
            }));
        }
        assert_eq!(received, sent);
    }

    #[test]
    fn what_can_not_leave_is_told_and_does_not_stop_the_rest() {
        let ((one, _), (two, to)) = (bound(), bound());
        let huge = vec![0; 65_600];
        let mut outcomes = Vec::new();
        let batch: [(&[u8], _); 3] = [(b"a", to), (&huge, to), (b"b", to)];
        one.send(batch, |_, outcome| {
            outcomes.push(matches!(outcome, Sent::Yes));
        });
        assert_eq!(outcomes, [true, false, true]);
        assert_eq!(two.receive(&mut Inbox::new()).unwrap(), 2);
    }
}
