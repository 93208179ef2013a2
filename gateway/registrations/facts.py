"""What a running gateway knows of somebody's registration. Nothing here helps to guess a password."""

from msgspec import Struct

from cascade.as_upper.attempts import Attempt
from cascade.peers import Following
from gateway.trace.facts import SideName


class Wanted(Struct, frozen=True, kw_only=True):
    """What a REGISTER of a configured peer has to be like."""

    networks: tuple[str, ...]
    transport: str  # any, or one
    certificate: bool
    binding: Following
    algorithms: tuple[str, ...]
    min_expires: int


class Lease(Struct, frozen=True, kw_only=True):
    """Where a peer is registered, since and until when (time of day)."""

    host: str
    port: int
    since: float
    until: float


class Tried(Struct, frozen=True, kw_only=True):
    """One REGISTER. `wrong` is the engine's word for the first thing that was not right about its digest."""

    attempt: Attempt
    wrong: str = ""
    nonce_age: float | None = None  # seconds; None: no nonce that its address was given


class OfId(Struct, frozen=True, kw_only=True):
    """One id on one side. `wanted` is None where nobody has it. `near`: ids that differ by a slip."""

    id: str
    wanted: Wanted | None = None
    lease: Lease | None = None
    tries: tuple[Tried, ...] = ()  # the oldest first
    pause: float = 0.0  # seconds for which its wrong digests are put off yet
    near: tuple[str, ...] = ()
    admit: str = ""  # the rule that would admit it, had it a password
    above: bool = False  # it is an upper of ours: we register there
    problem: str = ""  # why we are not


class OfSide(Struct, frozen=True, kw_only=True):
    """`unread`: datagrams from outside the networks of the side, which were dropped. `strangers`: the ids
    that nobody has and that tried last."""

    side: SideName
    id: str
    realm: str
    address: str
    ids: tuple[OfId, ...]
    unread: int
    strangers: tuple[str, ...]
