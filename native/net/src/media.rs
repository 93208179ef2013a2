//! The relay with sockets: one thread that owns them, woken by packets, by commands and by its deadline.
//!
//! It holds no lock while packets move and never needs Python. A stream has one receiving socket and each of
//! its viewers one sending socket; closing the stream drops them all. Streams and viewers on the trunk share
//! its one socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use relay_core::{Answer, BadKey, Command, Counters, Event, Offer};

use crate::arena::take_merged;
use crate::media::worker::{BELL, Order, Outbox, Socket, Worker};
use crate::poll::{Bell, Poll};
use crate::train::{ask_buffers, ask_large_buffers};

mod line;
mod outlet;
mod worker;

/// Room for a burst of key frames while the thread is busy with other streams; the system may give less.
const BUFFER_BYTES: i32 = 2 << 20;
/// A viewer's socket receives nothing that we want: the least the system allows.
const NO_BUFFER: i32 = 0;
/// The trunk's: 60 ms of 500 streams of 4 Mbit/s.
const TRUNK_BUFFER_BYTES: i32 = 16 << 20;
/// How long a caller waits for an answer of the thread, which needs some milliseconds at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// The relay as its owner sees it. Dropping it ends the thread and closes every socket.
pub struct Engine {
    orders: Sender<Order>,
    wake: Arc<Bell>,
    outbox: Arc<Outbox>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub fn start() -> io::Result<Self> {
        let (orders, received) = channel();
        let wake = Arc::new(Bell::new()?);
        let outbox = Arc::new(Outbox::new()?);
        let poll = Poll::new()?;
        poll.add(wake.as_ref(), BELL)?;
        let (heard, told) = (wake.clone(), outbox.clone());
        let named = std::thread::Builder::new().name("lockgate-relay".into());
        let thread = named.spawn(move || Worker::new(received, heard, told, poll).run())?;
        Ok(Self {
            orders,
            wake,
            outbox,
            thread: Some(thread),
        })
    }

    /// Carry out one command, written as JSON. Only those that bind a port wait for the thread.
    pub fn command(&self, json: &[u8]) -> Answer {
        let command = match Command::read(json) {
            Ok(command) => command,
            Err(error) => return refused(error),
        };
        let socket = match &command {
            Command::Open(place) => bind(place.address, place.port, |udp| {
                ask_buffers(udp, BUFFER_BYTES, NO_BUFFER);
            }),
            Command::AddViewer(place) => bind(place.address, place.port, |udp| {
                ask_buffers(udp, NO_BUFFER, BUFFER_BYTES);
            }),
            Command::Join(join) => bind(join.address, join.port, |udp| {
                ask_large_buffers(udp, TRUNK_BUFFER_BYTES);
            }),
            _ => Ok(None),
        };
        let socket = match socket {
            Ok(socket) => socket,
            Err(refused) => return refused,
        };
        if !command.binds() {
            return match self.order(Order::Carry(command, None, None)) {
                Ok(()) => Answer::Done {},
                Err(answer) => answer,
            };
        }
        let (answers, answer) = channel();
        if let Err(answer) = self.order(Order::Carry(command, socket, Some(answers))) {
            return answer;
        }
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| gone())
    }

    pub fn take_events(&self) -> Vec<Event> {
        self.outbox.take()
    }

    /// A key for the other host to seal with; `None` without a trunk, or when the thread has ended.
    pub fn offer(&self) -> Option<Result<Offer, BadKey>> {
        let (answers, answer) = channel();
        self.order(Order::Offer(answers)).ok()?;
        answer.recv_timeout(PATIENCE).ok()?
    }

    /// Seal with the other host's key from now on; `None` as for `offer`.
    pub fn accept(&self, offer: &[u8]) -> Option<Result<(), BadKey>> {
        let (answers, answer) = channel();
        self.order(Order::Accept(offer.to_vec(), answers)).ok()?;
        answer.recv_timeout(PATIENCE).ok()?
    }

    /// `None` when the thread has ended.
    pub fn counters(&self) -> Option<Counters> {
        let (answers, answer) = channel();
        self.order(Order::Count(answers)).ok()?;
        answer.recv_timeout(PATIENCE).ok()
    }

    /// End the thread and close every socket; return when that is done. Again does nothing.
    pub fn close(&mut self) {
        let _ = self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn order(&self, order: Order) -> Result<(), Answer> {
        self.orders.send(order).map_err(|_| gone())?;
        self.wake.ring();
        Ok(())
    }
}

/// Readable while events wait.
impl AsRawFd for Engine {
    fn as_raw_fd(&self) -> RawFd {
        self.outbox.bell.as_raw_fd()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

fn refused(error: String) -> Answer {
    Answer::Refused {
        error,
        taken: false,
    }
}

fn gone() -> Answer {
    refused("the relay thread has ended".to_owned())
}

/// A socket for media, whose buffers `ask` sets.
fn bind(
    address: IpAddr,
    port: u16,
    ask: impl FnOnce(&UdpSocket),
) -> Result<Option<Socket>, Answer> {
    let bound = || -> io::Result<UdpSocket> {
        let udp = UdpSocket::bind(SocketAddr::new(address, port))?;
        udp.set_nonblocking(true)?;
        Ok(udp)
    };
    let udp = bound().map_err(|error| Answer::Refused {
        error: format!("{address} port {port}: {error}"),
        taken: error.kind() == io::ErrorKind::AddrInUse,
    })?;
    ask(&udp);
    take_merged(&udp);
    Ok(Some(Socket { udp, merge: true }))
}
