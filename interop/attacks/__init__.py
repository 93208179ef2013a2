"""Attacks on a registrar, any one that speaks SIP over UDP, and what a good one answers to each.

Nothing here is shared with the product: requests are written as text and digests come from hashlib, so
that the suite is a second opinion on our own registrar and says the same of anybody else's.

    ground       the addresses we speak from, and the peer whose registration is attacked
    wire         requests, answers and challenges as text
    replays      what was heard is said again
    proofs       digests that prove something else, or prove it no more
    hijacks      a registration is taken away or moved without any proof
    loads        guessing, floods, sizes
    suite        all of them in order, and what was found
    table        the outcome, for people and for programs
"""
