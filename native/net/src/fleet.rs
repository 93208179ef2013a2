//! A fleet of devices over its sockets, as load for a registrar.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use load::{BadTerms, Fleet, Output, Terms};
use sip_core::Time;

use crate::poll::{Poll, monotonic};
use crate::udp::{Inbox, Sent, Udp};

/// Batches taken from one socket before the others get their turn.
const TURNS: usize = 8;

/// Why a fleet can't be had.
#[derive(Debug)]
pub enum Failed {
    Terms(BadTerms),
    System(io::Error),
}

/// A [`Fleet`] with its sockets.
pub struct Driver {
    fleet: Fleet,
    sockets: Vec<Udp>,
    poll: Poll,
    inbox: Inbox,
    dropped: u64,
}

fn time(now: Duration) -> Time {
    Time::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

impl Driver {
    /// Bind so many sockets; with port 0 the system chooses, else they count up from it.
    ///
    /// # Errors
    /// The terms can't be kept, or an address is not to be had.
    pub fn bind(
        terms: Terms,
        local: SocketAddr,
        sockets: u16,
        buffer: usize,
    ) -> Result<Self, Failed> {
        let bind = |index: u16| {
            let mut address = local;
            if local.port() > 0 {
                address.set_port(local.port().saturating_add(index));
            }
            Udp::bind(address, buffer)
        };
        let sockets: Vec<Udp> = (0..sockets.max(1))
            .map(bind)
            .collect::<io::Result<_>>()
            .map_err(Failed::System)?;
        let poll = Poll::new().map_err(Failed::System)?;
        let mut locals = Vec::with_capacity(sockets.len());
        for (token, socket) in (0..).zip(&sockets) {
            poll.add(socket, token).map_err(Failed::System)?;
            locals.push(socket.local().map_err(Failed::System)?);
        }
        Ok(Driver {
            fleet: Fleet::new(terms, locals).map_err(Failed::Terms)?,
            sockets,
            poll,
            inbox: Inbox::new(),
            dropped: 0,
        })
    }

    pub fn fleet(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// Datagrams that the system did not take.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Send, receive and wait for so long, or until the fleet is done; is it?
    ///
    /// # Errors
    /// A socket failed.
    pub fn run(&mut self, lasting: Duration) -> io::Result<bool> {
        let until = monotonic() + lasting;
        loop {
            let now = monotonic();
            self.fleet.advance(time(now));
            self.flush();
            if self.fleet.done() {
                return Ok(true);
            }
            if now >= until {
                return Ok(false);
            }
            if self.receive()? == 0 {
                let due = self.fleet.deadline().map_or(until, |deadline| {
                    Duration::from_micros(deadline.micros()).min(until)
                });
                self.poll.wait(Some(due.saturating_sub(monotonic())))?;
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut total = 0;
        for index in 0..self.sockets.len() {
            for _ in 0..TURNS {
                let count = self.sockets[index].receive(&mut self.inbox)?;
                if count == 0 {
                    break;
                }
                total += count;
                let now = time(monotonic());
                for (bytes, source) in self.inbox.datagrams() {
                    self.fleet.feed(index, bytes, source, now);
                }
                self.flush();
            }
        }
        Ok(total)
    }

    fn flush(&mut self) {
        let outputs = self.fleet.take_outputs();
        if outputs.is_empty() {
            return;
        }
        let dropped = &mut self.dropped;
        for (index, socket) in self.sockets.iter().enumerate() {
            let of_socket = |output: &&Output| output.socket == index;
            let datagrams = outputs.iter().filter(of_socket);
            let datagrams = datagrams.map(|output| (&*output.bytes, output.destination));
            socket.send(datagrams, |_, sent| {
                *dropped += u64::from(!matches!(sent, Sent::Yes));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use load::{Pace, Work};

    #[test]
    fn devices_speak_over_their_own_sockets_and_hear_answers() {
        let server = Udp::bind("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
        let terms = Terms {
            server: server.local().unwrap(),
            server_id: "44010000002000000001".to_owned(),
            domain: "4401000000".to_owned(),
            first_id: "44010700001180000000".to_owned(),
            count: 4,
            password: "secret".to_owned(),
            expires: 60,
            seed: 1,
        };
        let local = "127.0.0.1:0".parse().unwrap();
        let mut driver = Driver::bind(terms, local, 2, 1 << 20).unwrap();
        let now = time(monotonic());
        driver
            .fleet()
            .aim(Work::Register, Pace::Window(4), Some(4), now);
        assert!(!driver.run(Duration::ZERO).unwrap());
        let (mut inbox, mut sources, mut answers) = (Inbox::new(), Vec::new(), Vec::new());
        assert_eq!(server.receive(&mut inbox).unwrap(), 4);
        for (bytes, source) in inbox.datagrams() {
            let head = sip_core::codec::parse(bytes).unwrap();
            let mut answer = Vec::new();
            let tag: Option<&[u8]> = Some(b"s");
            sip_core::codec::response(&mut answer, bytes, &head, source, 200, tag, &[], b"");
            sources.push(source);
            answers.push((answer, source));
        }
        sources.sort_unstable();
        sources.dedup();
        assert_eq!(sources.len(), 2);
        server.send(answers.iter().map(|(bytes, to)| (&**bytes, *to)), |_, _| {});
        assert!(driver.run(Duration::from_secs(5)).unwrap());
        assert_eq!(driver.fleet().report().registered, 4);
    }
}
