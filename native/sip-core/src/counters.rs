//! What happened how often. Nobody logs on the packet path; everybody counts.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the start.
        #[derive(Debug, Clone, Copy, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Datagrams fed, whatever they were.
    received,
    /// Datagrams given out, repeats included.
    sent,
    /// Events made.
    events,
    /// Dropped unread: the source is in none of the networks.
    foreign_source,
    /// Empty lines or NULs, which keep an address translation open.
    pings,
    /// Datagrams that are no SIP message for us.
    malformed,
    /// Of these, how many got a stateless answer.
    malformed_answered,
    /// Of these, how many made no event because too many did.
    malformed_silenced,
    /// Requests that are sound and ask for what nobody here does: 416, 420, 415, 482, 483.
    unsupported,
    /// Connections that came in.
    streams_accepted,
    /// Connections for which there was no place.
    streams_refused,
    /// Connections of strangers that a newer one displaced.
    streams_displaced,
    /// Connections that were closed because nothing came of them in time.
    streams_timed_out,
    /// Connections that were closed because nobody knows where the next message begins.
    streams_lost,
    /// Connections that were closed because their network may not speak to us any more.
    streams_excluded,
    /// Messages of ours whose connection was gone.
    streams_unsent,
    /// Bytes behind the body that Content-Length names were dropped.
    body_beyond_length,
    /// Repeated requests and answers that were kept from the layers above.
    retransmissions_absorbed,
    /// Requests and answers that we repeated because a timer was due.
    retransmissions_sent,
    /// Answers that belong to no open transaction.
    stray_responses,
    /// 2xx of other branches of a forked INVITE.
    forked_answers,
    /// ACKs that belong to nothing we know.
    stray_acks,
    /// Requests refused with 503 because too much was open.
    overload,
    /// Replies to transactions that were over, or answered before.
    late_replies,
    /// Requests that nobody answered in time.
    unanswered,
    /// Final answers forgotten before their time because the cache is bounded.
    cached_evicted,
    /// Our requests that got no final answer.
    timeouts,
    /// Our 2xx to INVITE that got no ACK.
    unacknowledged,
    /// Our requests that could not leave.
    undelivered,
    digest_verified,
    digest_wrong,
    digest_stale,
    /// Right digests turned away because the memory of used nonces was full.
    nonces_full,
}
