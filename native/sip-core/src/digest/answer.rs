//! The text of an answer to a challenge.

use std::fmt::Write;

use super::authorize::{Challenge, Request};
use super::{Hex, response};

impl Challenge<'_> {
    /// The value of Authorization.
    pub(super) fn answer(&self, username: &str, key: &Hex, request: &Request<'_>) -> String {
        let (cnonce, uri) = (request.cnonce, request.uri);
        let count = format!("{:08x}", request.nc);
        let hex = response(
            self.algorithm,
            key,
            self.asked.nonce.of(self.bytes),
            self.counted
                .then_some((count.as_bytes(), cnonce.as_bytes())),
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
        if self.counted {
            let _ = write!(value, ", qop=auth, nc={count}, cnonce=\"{cnonce}\"");
        }
        value
    }
}
