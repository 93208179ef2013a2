//! The SIP core over its datagram sockets: the only place where the core meets a clock.
//!
//! Connections are held above: what comes by them is handed in, what they have to do is taken out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use sip_core::{Answer, Core, Event, Order, Outbox, Prepared, Settings, Time, Transport};

use crate::udp::{BATCH, Inbox, Sent, Udp};
use crate::wake::{Wake, monotonic};

/// Datagrams that are taken off the sockets in one turn.
const TURN: usize = 2048;

/// `fileno` is readable while datagrams, due timers, events or orders wait.
pub struct Signalling {
    core: Core,
    /// In the order of the core's datagram listeners; never empty.
    udp: Vec<Udp>,
    wake: Wake,
    inbox: Inbox,
    outbox: Outbox,
    dropped: u64,
    receive_errors: u64,
}

fn time(now: Duration) -> Time {
    Time::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

impl Signalling {
    /// Bind the local address of the settings, where port 0 takes any, and the other datagram listeners.
    pub fn bind(mut settings: Settings, receive_buffer: usize) -> io::Result<Self> {
        let first = Udp::bind(settings.local, receive_buffer)?;
        settings.local = first.local()?;
        let mut udp = vec![first];
        for (transport, address) in &mut settings.listeners {
            if *transport == Transport::Udp {
                let socket = Udp::bind(*address, receive_buffer)?;
                *address = socket.local()?;
                udp.push(socket);
            }
        }
        let mut wake = Wake::new()?;
        for socket in &udp {
            wake.watch(socket)?;
        }
        Ok(Signalling {
            core: Core::new(settings),
            udp,
            wake,
            inbox: Inbox::new(),
            outbox: Outbox::default(),
            dropped: 0,
            receive_errors: 0,
        })
    }

    pub fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    pub fn receive_buffer(&self) -> io::Result<usize> {
        self.udp[0].receive_buffer()
    }

    /// Take what the socket has, do what is due, and give up to `limit` events.
    pub fn poll(&mut self, limit: usize) -> Vec<Event> {
        let mut now = monotonic();
        self.wake.woken();
        // Bounded by datagrams too, as a storm of repeats makes no events. More are taken than can be served:
        // what strangers say is sorted out here, and not by the kernel, which would drop known peers' as well.
        for _ in 0..=TURN / BATCH {
            if self.core.waiting() >= limit {
                break;
            }
            if !self.receive(&mut now) {
                break;
            }
        }
        self.core.advance(time(now));
        self.core.serve_strangers(limit, time(now));
        self.flush(now);
        let events = self.core.take_events(limit).collect();
        self.settle(now);
        events
    }

    /// A batch of each socket; false when none of them has more.
    fn receive(&mut self, now: &mut Duration) -> bool {
        let mut more = false;
        for (listener, socket) in (0u8..).zip(&self.udp) {
            match socket.receive(&mut self.inbox) {
                Ok(0) => {}
                Ok(count) => {
                    *now = monotonic();
                    for (bytes, source) in self.inbox.datagrams() {
                        self.core.offer(listener, bytes, source, time(*now));
                    }
                    more |= count == BATCH;
                }
                Err(_) => self.receive_errors += 1,
            }
        }
        self.flush(*now);
        more
    }

    /// Look at the sockets only every so often, so that one poll takes several datagrams; zero: whenever one is
    /// there. Timers and what waits in memory are not kept waiting.
    pub fn gather(&mut self, every: Duration) {
        if self.wake.gather(every).is_err() {
            self.receive_errors += 1;
        }
    }

    /// Let the core do something about its connections, at this moment.
    pub fn with_core<R>(&mut self, run: impl FnOnce(&mut Core, Time) -> R) -> R {
        let now = monotonic();
        let result = run(&mut self.core, time(now));
        self.flush(now);
        self.settle(now);
        result
    }

    /// See [`Core::take_orders`].
    pub fn take_orders(&mut self) -> Vec<Order> {
        let orders = self.core.take_orders();
        if !orders.is_empty() {
            self.wake.set_waiting(self.core.has_something());
        }
        orders
    }

    pub fn reply<'a>(&mut self, answers: impl Iterator<Item = Answer<'a>>) {
        let now = monotonic();
        for answer in answers {
            self.core.reply(&answer, time(now));
        }
        self.flush(now);
        self.settle(now);
    }

    /// See [`Core::adopt`].
    pub fn adopt(&mut self, outline: &[u8], source: SocketAddr) -> Option<u64> {
        let now = monotonic();
        let number = self.core.adopt(outline, source, time(now));
        self.settle(now);
        number
    }

    pub fn send(&mut self, prepared: Vec<Prepared>) -> Vec<u64> {
        let now = monotonic();
        let numbers = prepared
            .into_iter()
            .map(|one| self.core.send(one, time(now)))
            .collect();
        self.flush(now);
        self.settle(now);
        numbers
    }

    pub fn cancel(&mut self, transaction: u64) {
        let now = monotonic();
        self.core.cancel(transaction, time(now));
        self.flush(now);
        self.settle(now);
    }

    /// Totals of the core, and what only a socket can count.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = self.core.counters();
        all.extend([
            ("send_dropped", self.dropped),
            ("receive_errors", self.receive_errors),
        ]);
        all
    }

    fn flush(&mut self, now: Duration) {
        self.core.swap_outbox(&mut self.outbox);
        if self.outbox.is_empty() {
            return;
        }
        let mut refused: Vec<(u64, String)> = Vec::new();
        let (dropped, outbox) = (&mut self.dropped, &self.outbox);
        for (listener, socket) in (0u8..).zip(&self.udp) {
            let own = || outbox.iter().filter(|letter| letter.listener == listener);
            let datagrams = own().map(|letter| (letter.bytes, letter.destination));
            socket.send(datagrams, |place, sent| match sent {
                Sent::Yes => {}
                Sent::Dropped => *dropped += 1,
                Sent::Refused(error) => {
                    let transaction = own().nth(place).map_or(0, |letter| letter.transaction);
                    refused.push((transaction, error.to_string()));
                }
            });
        }
        for (transaction, reason) in refused {
            self.dropped += 1;
            self.core.undelivered(transaction, &reason, time(now));
        }
    }

    /// Keep `fileno` true to what waits.
    fn settle(&mut self, now: Duration) {
        self.wake.set_waiting(self.core.has_something());
        let deadline = self
            .core
            .deadline()
            .map(|time| Duration::from_micros(time.micros()));
        if self.wake.set_deadline(deadline, now).is_err() {
            self.receive_errors += 1; // timers stand still until the next datagram
        }
    }

    pub fn local(&self) -> SocketAddr {
        self.core.local()
    }
}

impl AsRawFd for Signalling {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}
