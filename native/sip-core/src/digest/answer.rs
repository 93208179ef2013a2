//! The text of an answer to a challenge.

use std::fmt::Write;

use super::authorize::{Challenge, Counting, Request};
use super::{Counted, Hex, response};

impl Challenge<'_> {
    /// The value of Authorization.
    pub(super) fn answer(&self, username: &str, key: &Hex, request: &Request<'_>) -> String {
        let (cnonce, uri) = (request.cnonce, request.uri);
        let count = format!("{:08x}", request.nc);
        let counted = match self.counting {
            Counting::Not => None,
            Counting::Auth => Some(None),
            Counting::Body => Some(Some(request.body)),
        };
        let counted = counted.map(|body| Counted {
            nc: count.as_bytes(),
            cnonce: cnonce.as_bytes(),
            body,
        });
        let hex = response(
            self.algorithm,
            key,
            self.asked.nonce.of(self.bytes),
            counted,
            request.method.as_bytes(),
            uri.as_bytes(),
        );
        let mut value = format!(
            "Digest username=\"{username}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", algorithm={}",
            self.text(self.asked.realm),
            self.text(self.asked.nonce),
            hex.text(),
            self.algorithm.name(),
        );
        if !self.asked.opaque.is_empty() {
            let _ = write!(value, ", opaque=\"{}\"", self.text(self.asked.opaque));
        }
        if let Some(counted) = counted {
            let qop = counted.qop();
            let _ = write!(value, ", qop={qop}, nc={count}, cnonce=\"{cnonce}\"");
        }
        value
    }
}
