//! What the engine tells the layers above.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::codec::{Head, Span, Start};
use crate::hop::{Hop, Transport};
use crate::registrar::Auth;
use crate::time::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Register = 1,
    Message = 2,
    Invite = 3,
    /// Of a 2xx; the transaction is the INVITE's.
    Ack = 4,
    Bye = 5,
    /// Already answered; the transaction is the INVITE's, which waits for 487.
    Cancel = 6,
    /// Any other method.
    Request = 7,
    /// To a request of ours.
    Response = 8,
    /// No final answer to a request of ours; the message is that request.
    Timeout = 9,
    /// No ACK to our 2xx; transaction and message are the INVITE's.
    Unacknowledged = 10,
    /// A request of ours could not leave.
    Undelivered = 11,
    Malformed = 12,
    /// A limit was met; `fault` is its name.
    Limited = 13,
}

impl Kind {
    pub fn of_method(method: &[u8]) -> Self {
        match method {
            b"REGISTER" => Kind::Register,
            b"MESSAGE" => Kind::Message,
            b"INVITE" => Kind::Invite,
            b"ACK" => Kind::Ack,
            b"BYE" => Kind::Bye,
            b"CANCEL" => Kind::Cancel,
            _ => Kind::Request,
        }
    }
}

/// A message and where things are in it. Shared, and its memory is used again once nobody holds it.
#[derive(Debug)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub head: Head,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: Kind,
    /// 0 where there is none.
    pub transaction: u64,
    /// Where the datagram came from; for requests of ours where they went.
    pub source: SocketAddr,
    pub transport: Transport,
    /// The connection it came or went by, 0 for datagrams.
    pub connection: u64,
    /// Names in the certificate of that connection's other end; None without one.
    pub certificate: Option<Arc<str>>,
    pub arrived: Time,
    pub awaits_answer: bool,
    pub auth: Auth,
    /// The digest's user, within the message.
    pub username: Span,
    /// What stands in To of our answers when the request's To has no tag; 0 where there are none.
    pub tag: u64,
    /// What is wrong, for `Malformed` and `Undelivered`; which limit, for `Limited`.
    pub fault: Cow<'static, str>,
    pub(crate) message: Arc<Message>,
    /// False when the bytes are no message.
    pub(crate) readable: bool,
}

impl Event {
    pub fn new(
        kind: Kind,
        transaction: u64,
        hop: Hop,
        arrived: Time,
        message: &Arc<Message>,
    ) -> Self {
        Event {
            kind,
            transaction,
            source: hop.address,
            transport: hop.transport,
            connection: hop.connection(),
            certificate: None,
            arrived,
            awaits_answer: false,
            auth: Auth::None,
            username: Span::default(),
            tag: 0,
            fault: Cow::Borrowed(""),
            message: Arc::clone(message),
            readable: true,
        }
    }

    /// A message by itself, as `parse` gives it.
    pub fn bare(message: &Arc<Message>, source: SocketAddr) -> Self {
        let kind = match message.head.start {
            Start::Request { .. } => Kind::Request,
            Start::Response { .. } => Kind::Response,
        };
        Event::new(kind, 0, Hop::datagram(source, 0), Time::default(), message)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.message.bytes
    }

    /// None when the bytes are no message.
    pub fn head(&self) -> Option<&Head> {
        self.readable.then_some(&self.message.head)
    }
}
