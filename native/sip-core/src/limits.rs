//! How much may be held, and how much of strangers is taken: one named limit each.
//!
//! A stranger is whose address nobody has called known: no lease, no upper. Strangers lose first at each
//! of these limits, and the newest of them before those who came earlier.

/// Set once or while it runs; what is held beyond a limit that was lowered leaves in its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that wait for our answer, INVITEs until they end; and as many of our own, and beside each
    /// INVITE of ours its CANCEL, which has its place however full it is. The last eighth is for known peers. Whoever comes later is refused with 503, what is ours is undelivered.
    pub requests: usize,
    /// Final answers kept for repeated requests; the oldest is forgotten. Strangers' may fill one half.
    pub answers: usize,
    /// Bytes of them; the oldest is forgotten. Strangers' may fill one half.
    pub answer_bytes: usize,
    /// Events that nobody has taken yet. The last eighth is for known peers; who comes later gets 503.
    pub events: usize,
    /// Nonces given last that may be used; who answers an older one is challenged anew.
    pub nonces: usize,
    /// Connections at once. The oldest stranger goes for a newer one, a known one never.
    pub connections: usize,
    /// Strangers' connections from one address at once; the oldest goes.
    pub connections_of_source: usize,
    /// Messages that wait for one connection of ours to be made; who comes later is undelivered.
    pub dialling: usize,
    /// Bytes that wait for one connection's other end to read; then it loses the connection.
    pub unsent_bytes: usize,
    /// Datagrams of strangers that wait behind those of known peers; the newest is dropped.
    pub strangers_waiting: usize,
    /// Messages a second that are taken from all strangers; the others are dropped unread.
    pub strangers_a_second: usize,
    /// The same of one address of strangers.
    pub strangers_of_source: usize,
    /// REGISTERs a second of one address whose digest is not right; more are challenged without a decision.
    /// A right one never is.
    pub failures_of_source: usize,
    /// Seconds: the shortest Retry-After of a 503.
    pub retry_after: usize,
    /// Seconds: by chance up to so much is added, lest all come back at once.
    pub retry_spread: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: 65_536,
            answers: 131_072,
            answer_bytes: 32 * 1024 * 1024,
            events: 65_536,
            nonces: 262_144,
            connections: 16_384,
            connections_of_source: 8,
            dialling: 256,
            unsent_bytes: 4 * 1024 * 1024,
            strangers_waiting: 4096,
            strangers_a_second: 20_000,
            strangers_of_source: 5000,
            failures_of_source: 100,
            retry_after: 10,
            retry_spread: 20,
        }
    }
}

impl Limits {
    /// Set one by its name.
    ///
    /// # Errors
    /// A sentence: there is none of that name.
    pub fn set(&mut self, name: &str, value: usize) -> Result<(), String> {
        let place = match name {
            "requests" => &mut self.requests,
            "answers" => &mut self.answers,
            "answer_bytes" => &mut self.answer_bytes,
            "events" => &mut self.events,
            "nonces" => &mut self.nonces,
            "connections" => &mut self.connections,
            "connections_of_source" => &mut self.connections_of_source,
            "dialling" => &mut self.dialling,
            "unsent_bytes" => &mut self.unsent_bytes,
            "strangers_waiting" => &mut self.strangers_waiting,
            "strangers_a_second" => &mut self.strangers_a_second,
            "strangers_of_source" => &mut self.strangers_of_source,
            "failures_of_source" => &mut self.failures_of_source,
            "retry_after" => &mut self.retry_after,
            "retry_spread" => &mut self.retry_spread,
            _ => return Err(format!("no limit is called {name:?}")),
        };
        *place = value;
        Ok(())
    }
}

/// What of `limit` strangers may have where the rest is for known peers.
pub fn without_reserve(limit: usize) -> usize {
    limit - limit / 8
}
