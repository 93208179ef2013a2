//! Requests of ours: out, again, and cancelled.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::route::{Plan, UNSPLIT};
use super::{Core, Outgoing};
use crate::client::{Cancel, Client, State};
use crate::codec::{self, Head, Headers, Refused, Span};
use crate::event::{Kind, Message};
use crate::hop::{Hop, Transport};
use crate::time::Time;

/// Of what goes nowhere.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A request that is written and checked, and has not left.
#[derive(Debug)]
pub struct Prepared {
    message: Arc<Message>,
    branch: u64,
    destination: SocketAddr,
    pub(super) plan: Plan,
    ack_for: u64,
}

pub(super) fn branch_text(branch: u64) -> String {
    format!("z9hG4bK{branch:016x}")
}

impl Core {
    /// Write a request. Nothing happens yet, so that one fault in a batch costs nobody a half-sent batch.
    ///
    /// # Errors
    /// A sentence: what is written is not a request that we would take ourselves.
    pub fn prepare(&mut self, outgoing: &Outgoing<'_>) -> Result<Prepared, String> {
        codec::check_method(outgoing.method)?;
        codec::check_uri(outgoing.uri)?;
        if outgoing.method == "CANCEL" {
            return Err("CANCEL is sent by cancel(), which knows its INVITE".to_owned());
        }
        let branch = self.random.number();
        let Outgoing {
            method,
            uri,
            headers,
            body,
            ..
        } = *outgoing;
        let text = branch_text(branch);
        let mut plan = match outgoing.destination {
            Some(destination) => self.plan(destination, 0),
            None => Plan::Never("the destination is not an IP address"),
        };
        self.write_request(method, uri, plan, &text, headers, body);
        if let (Some(destination), true) = (outgoing.destination, self.scratch.len() > UNSPLIT) {
            let longer = self.plan(destination, self.scratch.len());
            if self.place_of(longer).0 != self.place_of(plan).0 {
                self.write_request(method, uri, longer, &text, headers, body);
            }
            plan = longer;
        }
        let head = parse_own(&self.scratch, self.place_of(plan).0)
            .map_err(|refused| format!("{method}: {}", refused.fault))?;
        let message = self.pool.message(Cow::Borrowed(&self.scratch), &head);
        Ok(Prepared {
            message,
            branch,
            destination: outgoing.destination.unwrap_or(NOWHERE),
            plan,
            ack_for: outgoing.ack_for,
        })
    }

    fn write_request(
        &mut self,
        method: &str,
        uri: &str,
        plan: Plan,
        branch: &str,
        headers: Headers<'_>,
        body: &[u8],
    ) {
        let mut out = std::mem::take(&mut self.scratch);
        let (transport, place) = self.place_of(plan);
        let sent_by = (transport.name(), place.text.as_str());
        codec::request(&mut out, method, uri, sent_by, branch, headers, body);
        self.scratch = out;
    }

    /// Send what was prepared; the number of its client transaction, 0 for an ACK.
    pub fn send(&mut self, prepared: Prepared, now: Time) -> u64 {
        self.ring.set_clock(now);
        let Prepared {
            message,
            branch,
            destination,
            plan,
            ack_for,
        } = prepared;
        let way = self.take_way(plan, now);
        let method = message.head.method(&message.bytes);
        if method == b"ACK" {
            match way {
                Ok(hop) => self.send_ack(&message.bytes, hop, ack_for),
                Err(_) => self.counters.undelivered += 1,
            }
            return 0;
        }
        let invite = method == b"INVITE";
        let request = Arc::clone(&message);
        let hop = way.unwrap_or(Hop::datagram(destination, 0));
        let full = self.requests >= self.limits.requests;
        let number = self.insert_client(Client::new(branch, invite, hop, message, now));
        match way {
            Ok(_) if full => self.undelivered(number, "too many requests are open", now),
            Ok(_) if matches!(plan, Plan::Wait(..)) => self.wait_for(number, destination, now),
            Ok(hop) => self.transmit_request(&request.bytes, hop, number, now),
            Err(reason) => self.undelivered(number, reason, now),
        }
        number
    }

    fn transmit_request(&mut self, bytes: &[u8], hop: Hop, number: u64, now: Time) {
        if let Some(stream) = self.streams.get_mut(hop.connection()) {
            stream.asked = true;
        }
        if !self.transmit(bytes, hop, number) {
            self.undelivered(number, "its connection takes no more", now);
        }
    }

    /// Send what waited for a connection by another way after all: by a datagram, however long it is
    /// (RFC 3261 section 18.1.1), or by the connection that its destination has now. False: it is too long for that.
    pub(super) fn send_by(&mut self, number: u64, hop: Hop, now: Time) -> bool {
        let (transport, place) = self.place_of(Plan::Go(hop));
        let sender = format!("SIP/2.0/{} {}", transport.name(), place.text);
        let Some(message) = self
            .clients
            .get(number)
            .and_then(|client| client.message.as_ref())
        else {
            return false;
        };
        let (start, end) = message.head.via.protocol_and_sender.bounds();
        let bytes = [
            &message.bytes[..start],
            sender.as_bytes(),
            &message.bytes[end..],
        ]
        .concat();
        let Ok(head) = parse_own(&bytes, transport) else {
            return false;
        };
        let message = self.pool.message(Cow::Owned(bytes), &head);
        let request = Arc::clone(&message);
        match self.clients.get_mut(number) {
            Some(client) if client.awaited.is_some() => client.leaves(hop, request, now),
            Some(client) => client.again(hop, request, now),
            None => return false,
        }
        self.schedule_client(number);
        self.transmit_request(&message.bytes, hop, number, now);
        true
    }

    fn insert_client(&mut self, client: Client) -> u64 {
        let key = (client.branch, client.silent);
        let number = self.clients.insert(client);
        self.by_branch.insert(key, number);
        self.requests += 1;
        self.schedule_client(number);
        number
    }

    /// A datagram of this client transaction can't leave: it is over.
    pub fn undelivered(&mut self, number: u64, reason: &str, now: Time) {
        if self.clients.get(number).is_none_or(Client::is_over) {
            return; // the ACK of a refusal, or nothing of ours
        }
        let Some(client) = self.remove_client(number) else {
            return;
        };
        self.counters.undelivered += 1;
        if let Some(message) = client.message.as_ref().filter(|_| !client.silent) {
            let mut event = self.event(Kind::Undelivered, number, client.hop, now, message);
            event.fault = Cow::Owned(reason.to_owned());
            self.tell(event);
        }
    }

    fn send_ack(&mut self, bytes: &[u8], hop: Hop, ack_for: u64) {
        let invite = self
            .clients
            .get_mut(ack_for)
            .filter(|client| client.state == State::Accepted);
        if let Some(invite) = invite {
            invite.ack = Some((Arc::from(bytes), hop));
        }
        self.transmit(bytes, hop, 0);
    }

    /// Cancel an INVITE of ours: at once when something came back, else as soon as it does
    /// (RFC 3261 section 9.1). Nothing is done once it is over.
    pub fn cancel(&mut self, number: u64, now: Time) {
        self.ring.set_clock(now);
        let Some(client) = self.clients.get_mut(number) else {
            return;
        };
        if !client.invite || client.is_over() || client.cancel == Cancel::Sent {
            return;
        }
        if client.awaited.is_some() {
            return self.undelivered(number, "it was cancelled before it could leave", now);
        }
        client.cancel = Cancel::Wanted;
        if client.state == State::Proceeding {
            self.send_cancel(number, now);
        }
    }

    pub(super) fn send_cancel(&mut self, number: u64, now: Time) {
        let Some(invite) = self.clients.get_mut(number) else {
            return;
        };
        let Some(message) = invite.message.clone() else {
            return;
        };
        invite.cancel_sent(now);
        let (branch, hop) = (invite.branch, invite.hop);
        self.schedule_client(number);
        let to = text(message.head.to.of(&message.bytes));
        let Some(cancel) = self.along_invite(&message, hop, branch, "CANCEL", &to) else {
            return;
        };
        let mut client = Client::new(branch, false, hop, Arc::clone(&cancel), now);
        client.silent = true;
        let number = self.insert_client(client);
        self.transmit_request(&cancel.bytes, hop, number, now);
    }

    /// Acknowledge a refusal (RFC 3261 section 17.1.1.3).
    pub(super) fn acknowledge_refusal(&mut self, number: u64, bytes: &[u8], head: &Head) {
        let Some(invite) = self.clients.get(number) else {
            return;
        };
        let Some(message) = invite.message.clone() else {
            return;
        };
        let (branch, hop) = (invite.branch, invite.hop);
        let to = text(head.to.of(bytes));
        let Some(ack) = self.along_invite(&message, hop, branch, "ACK", &to) else {
            return;
        };
        if let Some(invite) = self.clients.get_mut(number) {
            invite.ack = Some((Arc::from(&ack.bytes[..]), hop));
            invite.message = None;
        }
        self.transmit(&ack.bytes, hop, number);
    }

    /// A request with the branch, the URI, From, Call-ID, number and Route of an INVITE of ours.
    fn along_invite(
        &mut self,
        invite: &Message,
        hop: Hop,
        branch: u64,
        method: &str,
        to: &str,
    ) -> Option<Arc<Message>> {
        let (bytes, head) = (&invite.bytes, &invite.head);
        let uri = text(head.uri().of(bytes));
        let from = text(head.from.of(bytes));
        let call_id = text(head.call_id.of(bytes));
        let cseq = format!("{} {method}", head.cseq);
        let routes: Vec<_> = head
            .headers(bytes, b"Route")
            .map(|route| text(route.of(bytes)))
            .collect();
        let mut headers = vec![
            ("From", &*from),
            ("To", to),
            ("Call-ID", &*call_id),
            ("CSeq", &*cseq),
        ];
        headers.extend(routes.iter().map(|route| ("Route", &**route)));
        let headers: Headers<'_> = &headers;
        let plan = Plan::Go(hop);
        self.write_request(method, &uri, plan, &branch_text(branch), headers, b"");
        let head = parse_own(&self.scratch, hop.transport).ok()?;
        Some(self.pool.message(Cow::Borrowed(&self.scratch), &head))
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Read what was written; a stream carries more than a datagram.
fn parse_own(bytes: &[u8], transport: Transport) -> Result<Head, Box<Refused>> {
    if transport == Transport::Udp {
        return codec::parse(bytes);
    }
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(0, |at| at + 4);
    let mut head = codec::parse_head(&bytes[..end])?;
    head.body = Span::new(end, bytes.len());
    Ok(head)
}
