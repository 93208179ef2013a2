//! One descriptor that becomes readable for sockets, for a due timer, and for what waits in memory.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// An epoll set over sockets, one timer and one flag.
pub struct Wake {
    epoll: OwnedFd,
    timer: OwnedFd,
    flag: OwnedFd,
    raised: bool,
    armed: Option<Duration>,
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
        let (epoll, timer, flag) = unsafe {
            (
                own(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                own(libc::timerfd_create(
                    libc::CLOCK_MONOTONIC,
                    libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
                ))?,
                own(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?,
            )
        };
        let wake = Wake {
            epoll,
            timer,
            flag,
            raised: false,
            armed: None,
        };
        wake.watch(&wake.timer)?;
        wake.watch(&wake.flag)?;
        Ok(wake)
    }

    /// Wake when this is readable too. It must be closed no later than the set.
    pub fn watch(&self, fd: &impl AsRawFd) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        let token = u64::try_from(fd).unwrap_or(0);
        let mut event = libc::epoll_event {
            events: READABLE,
            u64: token,
        };
        // SAFETY: the kernel reads one live epoll_event.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd,
                &raw mut event,
            )
        };
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
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(due.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: due.subsec_nanos().into(),
        };
        let never = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timer = libc::itimerspec {
            it_interval: never,
            it_value: value,
        };
        // SAFETY: the kernel reads one live itimerspec; no old value is asked for.
        let result = unsafe {
            libc::timerfd_settime(
                self.timer.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &raw const timer,
                std::ptr::null_mut(),
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
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
}
