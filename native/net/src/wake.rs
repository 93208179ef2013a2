//! One descriptor that becomes readable for sockets, for a due timer, and for what waits in memory.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// An epoll set over sockets, a timer, a flag, and a pulse that stands for the sockets while datagrams are gathered.
pub struct Wake {
    epoll: OwnedFd,
    timer: OwnedFd,
    flag: OwnedFd,
    pulse: OwnedFd,
    raised: bool,
    armed: Option<Duration>,
    sockets: Vec<RawFd>,
    gathering: bool,
}

#[allow(clippy::cast_sign_loss)] // a flag, declared as a signed number
const READABLE: u32 = libc::EPOLLIN as u32;

fn own(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Wake {
    pub fn new() -> io::Result<Self> {
        // SAFETY: these three calls take no pointers.
        let (epoll, flag) = unsafe {
            (
                own(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                own(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?,
            )
        };
        let wake = Wake {
            epoll,
            timer: timer()?,
            flag,
            pulse: timer()?,
            raised: false,
            armed: None,
            sockets: Vec::new(),
            gathering: false,
        };
        for own in [&wake.timer, &wake.flag, &wake.pulse] {
            wake.control(libc::EPOLL_CTL_ADD, own.as_raw_fd(), READABLE)?;
        }
        Ok(wake)
    }

    /// Wake when this socket is readable too. It must be closed no later than the set.
    pub fn watch(&mut self, socket: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), READABLE)?;
        self.sockets.push(socket.as_raw_fd());
        Ok(())
    }

    /// Wake for sockets no more, but every so often whether anything came or not; zero: as soon as it comes.
    pub fn gather(&mut self, every: Duration) -> io::Result<()> {
        let gathering = !every.is_zero();
        set_timer(&self.pulse, 0, every, every)?; // first: sockets that nobody looks at would be deaf
        self.gathering = gathering;
        for socket in &self.sockets {
            let events = if gathering { 0 } else { READABLE };
            self.control(libc::EPOLL_CTL_MOD, *socket, events)?;
        }
        Ok(())
    }

    /// To be called before sockets are read: the pulse that led there is over.
    pub fn woken(&self) {
        if self.gathering {
            self.drain(self.pulse.as_raw_fd());
        }
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, events: u32) -> io::Result<()> {
        let token = u64::try_from(fd).unwrap_or(0);
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: the kernel reads one live epoll_event.
        let result =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Be readable from `deadline` on, as `CLOCK_MONOTONIC` counts it. A deadline later than the one that is
    /// set is not told to the kernel: waking once for nothing costs less than a call for each message.
    pub fn set_deadline(&mut self, deadline: Option<Duration>, now: Duration) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= now) {
            self.drain(self.timer.as_raw_fd());
            self.armed = None;
        }
        let Some(deadline) = deadline else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        let due = deadline.max(Duration::from_nanos(1)); // zero would disarm it
        set_timer(&self.timer, libc::TFD_TIMER_ABSTIME, due, Duration::ZERO)?;
        self.armed = Some(deadline);
        Ok(())
    }

    /// Be readable, or not, for what waits in memory.
    pub fn set_waiting(&mut self, waiting: bool) {
        if waiting == self.raised {
            return;
        }
        if waiting {
            let one = 1u64.to_ne_bytes();
            // SAFETY: eight live bytes. A full counter would be readable already.
            unsafe { libc::write(self.flag.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        } else {
            self.drain(self.flag.as_raw_fd());
        }
        self.raised = waiting;
    }

    #[allow(clippy::unused_self)] // only descriptors of this set are drained
    fn drain(&self, fd: RawFd) {
        let mut count = [0u8; 8];
        // SAFETY: the kernel writes at most eight bytes into eight live ones, and does not wait.
        unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) };
    }
}

fn timer() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    own(unsafe {
        libc::timerfd_create(
            libc::CLOCK_MONOTONIC,
            libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
        )
    })
}

/// `first` is a moment or a time from now, as `flags` say; zero stops the timer.
fn set_timer(
    timer: &OwnedFd,
    flags: libc::c_int,
    first: Duration,
    interval: Duration,
) -> io::Result<()> {
    let value = libc::itimerspec {
        it_interval: timespec(interval),
        it_value: timespec(first),
    };
    // SAFETY: the kernel reads one live itimerspec; no old value is asked for.
    let result = unsafe {
        libc::timerfd_settime(
            timer.as_raw_fd(),
            flags,
            &raw const value,
            std::ptr::null_mut(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// `CLOCK_MONOTONIC`, which is the clock of asyncio loops and of timerfd. `Instant` does not tell its value.
pub fn monotonic() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one live timespec; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(wake: &Wake, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd {
            fd: wake.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live pollfd.
        unsafe { libc::poll(&raw mut poll, 1, timeout_ms) == 1 }
    }

    #[test]
    fn a_flag_and_a_deadline_make_it_readable_until_they_are_seen_to() {
        let mut wake = Wake::new().unwrap();
        assert!(!readable(&wake, 0));
        wake.set_waiting(true);
        wake.set_waiting(true);
        assert!(readable(&wake, 0));
        wake.set_waiting(false);
        assert!(!readable(&wake, 0));
        let now = monotonic();
        wake.set_deadline(Some(now), now).unwrap();
        assert!(readable(&wake, 10_000));
        wake.set_deadline(None, monotonic()).unwrap();
        assert!(!readable(&wake, 0));
    }

    #[test]
    fn while_datagrams_are_gathered_the_pulse_wakes_and_not_they() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut wake = Wake::new().unwrap();
        wake.watch(&socket).unwrap();
        wake.gather(Duration::from_secs(3600)).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(!readable(&wake, 0));
        wake.gather(Duration::from_micros(1)).unwrap();
        assert!(readable(&wake, 10_000));
        wake.gather(Duration::from_secs(3600)).unwrap();
        wake.woken();
        assert!(!readable(&wake, 0));
        wake.gather(Duration::ZERO).unwrap();
        assert!(readable(&wake, 10_000));
        socket.recv(&mut [0; 8]).unwrap();
        wake.woken();
        assert!(!readable(&wake, 0));
    }
}
