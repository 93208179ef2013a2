//! Receiving datagrams in batches, merged where the kernel can (`UDP_GRO`).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use crate::train::{Control, set_option};

/// Datagrams of one receive call; each may hold a whole train.
const SLOTS: usize = 32;
/// The longest datagram, merged or not.
const SLOT_BYTES: usize = 65_536;

/// Let the kernel hand over trains unsplit. Without it (an old kernel) they come one by one.
pub fn take_merged(socket: &UdpSocket) {
    let _ = set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
}

/// Where received datagrams lie until the next receive call.
pub struct Arena {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    packets: Vec<(Range<usize>, SocketAddr)>,
}

impl Default for Arena {
    fn default() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_BYTES],
            // SAFETY: all zeroes is a valid address structure (family unspecified).
            names: vec![unsafe { std::mem::zeroed() }; SLOTS],
            controls: vec![[0; 4]; SLOTS],
            packets: Vec::new(),
        }
    }
}

impl Arena {
    /// Take what waits at `socket` (not blocking); `true` when more may be waiting.
    ///
    /// # Errors
    /// What the system says, except that nothing waits.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.packets.clear();
        let mut pieces: [libc::iovec; SLOTS] = std::array::from_fn(|slot| libc::iovec {
            iov_base: self.bytes[slot * SLOT_BYTES..][..SLOT_BYTES]
                .as_mut_ptr()
                .cast(),
            iov_len: SLOT_BYTES,
        });
        let mut headers: [libc::mmsghdr; SLOTS] = std::array::from_fn(|slot| {
            let name: *mut libc::sockaddr_storage = &raw mut self.names[slot];
            let control: *mut Control = &raw mut self.controls[slot];
            // SAFETY: all zeroes is a valid header: no name, no buffers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = name.cast();
            header.msg_hdr.msg_namelen = length_of::<libc::sockaddr_storage>();
            header.msg_hdr.msg_iov = &raw mut pieces[slot];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            header
        });
        let room = libc::c_uint::try_from(SLOTS).unwrap_or(1);
        // SAFETY: every header points to memory of `self` and `pieces`, which outlive the call, with its
        // true length; the kernel fills at most that much of at most SLOTS headers.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                room,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(false),
                _ => Err(error),
            };
        };
        for (slot, header) in headers.iter().enumerate().take(count) {
            let Some(source) = address_of(&self.names[slot]) else {
                continue;
            };
            let length = (header.msg_len as usize).min(SLOT_BYTES);
            let segment = segment_of(&header.msg_hdr).unwrap_or(length).max(1);
            let start = slot * SLOT_BYTES;
            let packets = (start..start + length).step_by(segment);
            self.packets
                .extend(packets.map(|it| (it..(it + segment).min(start + length), source)));
            if length == 0 {
                self.packets.push((start..start, source)); // empty, but it came
            }
        }
        Ok(count == SLOTS)
    }

    /// Each datagram as it was before the kernel merged it: where it lies in `bytes`, and who sent it.
    pub fn packets(&self) -> &[(Range<usize>, SocketAddr)] {
        &self.packets
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `bytes` and `packets` at once, for what is opened where it lies.
    pub fn parts(&mut self) -> (&mut [u8], &[(Range<usize>, SocketAddr)]) {
        (&mut self.bytes, &self.packets)
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let place: *const libc::sockaddr_storage = name;
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure it is, and the storage is large enough for each.
            let v4 = unsafe { &*place.cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*place.cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(address, port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// The length of the segments that were merged; `None` for a datagram that stands alone.
fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel wrote `msg_controllen` bytes of control messages; the macros stay inside them.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::SOL_UDP && (*control).cmsg_type == libc::UDP_GRO {
                let value = libc::CMSG_DATA(control)
                    .cast::<libc::c_int>()
                    .read_unaligned();
                return usize::try_from(value).ok().filter(|it| *it > 0);
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    None
}
