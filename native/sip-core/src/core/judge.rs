//! What a sound request may ask of us, before anybody above sees it (RFC 3261 sections 8.2.2 and 8.2.3).

use super::Core;
use crate::codec::values::{self, MAGIC_COOKIE, Via};
use crate::codec::{Fault, Head, unfold};

/// Why a request is refused here, and what its answer says besides.
pub(super) struct Objection {
    pub fault: Fault,
    pub header: Option<(&'static str, String)>,
}

fn objection(status: u16, reason: &'static str, at: usize) -> Objection {
    Objection {
        fault: Fault { status, reason, at },
        header: None,
    }
}

impl Core {
    /// The first reason in the order of RFC 3261 section 8.2, after the one that costs least.
    pub(super) fn object(&self, bytes: &[u8], head: &Head, method: &[u8]) -> Option<Objection> {
        let uri = head.uri();
        match values::check_request_uri(uri.of(bytes)) {
            Ok(()) => {}
            Err(values::BadUri::Scheme) => {
                let reason = "a Request-URI that is neither sip nor sips";
                return Some(objection(416, reason, uri.bounds().0));
            }
            Err(values::BadUri::Host) => {
                let reason = "a Request-URI without a host that can be read";
                return Some(objection(400, reason, uri.bounds().0));
            }
            Err(values::BadUri::Headers) => {
                let reason = "a Request-URI with headers";
                return Some(objection(400, reason, uri.bounds().0));
            }
        }
        if self.came_back(bytes, head) {
            let at = head.via.sent_by.bounds().0;
            return Some(objection(482, "a request that we sent ourselves", at));
        }
        // Who only answers may ignore it; an INVITE we would carry on (RFC 7332 section 3.1).
        let hops = values::number(head.max_forwards.of(bytes));
        if hops == Some(0) && method == b"INVITE" && head.to_tag.is_empty() {
            let at = head.max_forwards.bounds().0;
            return Some(objection(483, "Max-Forwards is 0", at));
        }
        if !head.require.is_empty() {
            let mut asked = Vec::new();
            for value in head.headers(bytes, b"Require") {
                let separator: &[u8] = if asked.is_empty() { b"" } else { b", " };
                asked.extend_from_slice(separator);
                asked.extend_from_slice(&unfold(value.of(bytes)));
            }
            let mut found = objection(420, "Require names an extension", head.require.bounds().0);
            let asked = String::from_utf8_lossy(&asked).into_owned();
            found.header = Some(("Unsupported", asked));
            return Some(found);
        }
        let encoding = head.content_encoding.of(bytes);
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            let at = head.content_encoding.bounds().0;
            let mut found = objection(415, "a body that is encoded", at);
            found.header = Some(("Accept-Encoding", "identity".to_owned()));
            return Some(found);
        }
        None
    }

    /// Is it one of ours, sent back? One of its Vias is ours then, by address and branch.
    fn came_back(&self, bytes: &[u8], head: &Head) -> bool {
        let ours = |via: &Via| {
            let branch = via.branch.of(bytes);
            branch.len() == MAGIC_COOKIE.len() + 16
                && branch.starts_with(MAGIC_COOKIE)
                && self.is_ours(via.sent_by.of(bytes))
        };
        if ours(&head.via) {
            return true;
        }
        if head.via.rest.is_empty() && !head.has_more_vias() {
            return false;
        }
        head.headers(bytes, b"Via").any(|value| {
            let mut rest = value;
            while let Ok(via) = values::top_via(bytes, rest, false) {
                if ours(&via) {
                    return true;
                }
                rest = via.rest;
            }
            false
        })
    }

    fn is_ours(&self, sent_by: &[u8]) -> bool {
        self.places
            .iter()
            .any(|place| place.text.as_bytes() == sent_by)
    }
}
