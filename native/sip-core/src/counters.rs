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
    /// Of these, how many because their address had too many.
    streams_of_source,
    /// Connections of strangers that were closed because their address or all strangers said too much.
    streams_over_budget,
    /// Connections that were closed because nothing came of them in time.
    streams_timed_out,
    /// Connections that were closed because nobody knows where the next message begins.
    streams_lost,
    /// Connections that were closed because their network may not speak to us any more.
    streams_excluded,
    /// Connections that were closed because their other end did not read what we sent.
    streams_slow,
    /// Requests of ours that went as a datagram after all, since their connection could not be made.
    fell_back,
    awaited,
    /// Messages of ours for whose connection too many others waited.
    dialling_full,
    /// Messages of ours whose connection was gone, or for which too many others waited.
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
    /// Requests refused with 503, or ACKs dropped, because too many events waited.
    events_full,
    /// Datagrams of strangers dropped because too many of them waited.
    strangers_dropped,
    /// Messages of strangers dropped because all of them said too much in a second.
    strangers_a_second,
    /// Messages of strangers dropped because their address said too much in a second.
    strangers_of_source,
    /// Messages of strangers that were challenged or refused without a decision, as too many waited.
    strangers_curtly,
    /// REGISTERs whose digest was not right that were challenged without a decision, as many came from there.
    failures_curtly,
    /// Answers to strangers that were not kept for a repeated request, as their half of the cache is full.
    answers_unkept,
    /// Replies to transactions that were over, or answered before.
    late_replies,
    /// Requests that nobody answered in time.
    unanswered,
    /// Final answers forgotten before their time because so many may be kept.
    cached_evicted,
    /// The same because they took too many bytes.
    answers_too_long,
    /// Our requests that got no final answer.
    timeouts,
    /// Our 2xx to INVITE that got no ACK.
    unacknowledged,
    /// Our requests that could not leave.
    undelivered,
    digest_verified,
    digest_wrong,
    digest_stale,
    /// Right digests turned away because so many nonces were given since theirs, or too many are counted.
    nonces_full,
}
