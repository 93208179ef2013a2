//! Waiting for many descriptors at once (epoll), being woken from another thread (eventfd), and the clock.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

#[allow(clippy::cast_sign_loss)] // a flag
const READABLE: u32 = libc::EPOLLIN as u32;
/// How many ready descriptors one wait hands out.
const READY: usize = 64;

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Time on `CLOCK_MONOTONIC`, the clock of Python's event loop.
pub fn monotonic() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A counter in the kernel that makes a descriptor readable until it is cleared.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer is passed; the descriptor returned is ours alone.
        let descriptor =
            checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: just created, owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Make the descriptor readable. A full counter means that it is already.
    pub fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight valid bytes are written from `one`.
        unsafe { libc::write(self.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Block until it rings or `milliseconds` are over.
    pub fn wait(&self, milliseconds: libc::c_int) {
        let mut waited = libc::pollfd {
            fd: self.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: `waited` is one valid entry for the call; an interruption only ends the wait early.
        unsafe { libc::poll(&raw mut waited, 1, milliseconds) };
    }

    pub fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes are read into `count`; an empty counter is no error here.
        unsafe { libc::read(self.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Readable descriptors, each under a token. A closed descriptor leaves by itself.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
    ready: Vec<u64>,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer is passed; the descriptor returned is ours alone.
        let descriptor = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just created, owned by nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self {
            epoll,
            ready: Vec::with_capacity(READY),
        })
    }

    /// Report `descriptor` as `token` while it is readable.
    pub fn add(&self, descriptor: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, descriptor, token)
    }

    pub fn remove(&self, descriptor: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, descriptor, 0)
    }

    fn control(&self, what: libc::c_int, descriptor: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: READABLE,
            u64: token,
        };
        let (epoll, descriptor) = (self.epoll.as_raw_fd(), descriptor.as_raw_fd());
        // SAFETY: `event` is valid for the call; the kernel checks both descriptors.
        checked(unsafe { libc::epoll_ctl(epoll, what, descriptor, &raw mut event) }).map(drop)
    }

    /// Block until something is readable or `timeout` is over (`None`: for ever); return the tokens.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<&[u64]> {
        // Rounded up: waking before the deadline would only mean waiting again.
        let milliseconds = timeout.map_or(-1, |it| {
            libc::c_int::try_from(it.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
        });
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; READY];
        let room = libc::c_int::try_from(READY).unwrap_or(1);
        self.ready.clear();
        // SAFETY: `events` has room for `room` entries, of which the kernel fills as many as it returns.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                room,
                milliseconds,
            )
        };
        let count = match checked(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => usize::try_from(other?).unwrap_or(0),
        };
        self.ready
            .extend(events.iter().take(count).map(|it| it.u64));
        Ok(&self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_readable_from_ring_to_clear() {
        let (mut poll, bell) = (Poll::new().unwrap(), Bell::new().unwrap());
        poll.add(&bell, 7).unwrap();
        assert!(poll.wait(Some(Duration::ZERO)).unwrap().is_empty());
        bell.ring();
        bell.ring();
        assert_eq!(poll.wait(None).unwrap(), [7]);
        bell.clear();
        assert!(poll.wait(Some(Duration::ZERO)).unwrap().is_empty());
    }
}
