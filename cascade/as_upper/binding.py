"""May a peer be heard from another port of the address where it registered? Pure; decision 029.

A keepalive proves nothing but its source: from another port of the same address it may be the peer, whose
address translation chose a new port, or whoever sits behind the same translator. So another port is followed
only once the registered one has said nothing for about as long as the peer takes between two keepalives,
never after the registered one spoke again, and until the registration ends, which a followed port does not
prolong. A REGISTER with the right digest moves all of it at once.
"""

from typing import Final, Literal, assert_never

from cascade.as_upper.leases import Lease

QUIET: Final = 0.9
"""Of the time between two keepalives: silent for so long, the old port is taken for gone. Below 1, since
keepalives come a little early too."""

Move = Literal["stays", "followed", "returned", "refused-binding", "refused-heard", "refused-contested"]


def move(lease: Lease, port: int, at: float, *, lives: bool) -> Move:
    """What a keepalive from that port of the lease's own address does. `lives`: it has not ended by `at`."""
    if port == lease.port:
        return "stays"
    match lease.peer.binding:
        case "strict" | "reauth":
            return "refused-binding"
        case "same-host":
            pass
        case other:
            assert_never(other)
    if port == lease.proven:
        return "returned"
    if not lives:
        return "refused-binding"  # what has lapsed is revived from where it registered
    if lease.contested:
        return "refused-contested"
    if at - lease.heard < QUIET * lease.peer.keepalive_seconds:
        return "refused-heard"
    return "followed"
