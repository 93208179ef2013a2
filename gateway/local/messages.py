"""What may be asked through the local socket, and what is answered. Closed unions: nothing else is read.

A frame is a length of four bytes (network order) and that many of MessagePack.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from cascade.crossing import Direction
from cascade.peers import Topic
from gateway.chamber.link.standing import LinkView
from gateway.registrations.facts import OfSide
from gateway.trace.facts import AnyFact, SideName
from gateway.words import Language

MAX_REQUEST: Final = 65_536
MAX_RESPONSE: Final = 64 * 1024 * 1024

Text = Annotated[str, Meta(max_length=128)]
PathText = Annotated[str, Meta(max_length=4096)]


class Trace(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """What is known of a channel, a peer, a correlation or a Call-ID.

    `after`: for each side the numbers of the newest message and of the newest crossing or media fact that
    the asker has; `calls` are Call-IDs it has met, whose later messages it wants too.
    """

    what: Text
    after: dict[SideName, tuple[int, int]] = {}
    calls: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()


class Status(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """How things stand."""


class Reload(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Read the rules again, or the approval tickets alone; or take nothing: say what flows, or what would
    come of taking `file`, besides its rules."""

    what: Literal["rules", "tickets", "nothing", "difference"] = "rules"
    language: Language = "en"  # of the answer
    file: PathText = ""  # whole; read as if it stood in the place of the one that counts


class Registration(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Why somebody is not registered: an id, or whoever tried from an address."""

    what: Text


class OnePeer(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """How one peer stands, below or above."""

    what: Text


Request = Trace | Status | Reload | Registration | OnePeer


class Traced(Struct, frozen=True, kw_only=True, tag=True):
    """`about`: as what `what` is known here. `shown`: what a side's peers call each channel (peer/name)."""

    what: str
    about: Literal["channel", "peer", "correlation", "text"]
    now: float  # time of day
    names: tuple[str, ...]
    shown: dict[str, dict[SideName, tuple[str, ...]]]
    facts: tuple[AnyFact, ...]
    newest: dict[SideName, tuple[int, int]]
    cut: bool  # there was more than is handed out


Away = Literal["unheard", "silent", "refused", "unproven", "unwell"]
"""Why a peer below is not online: nothing came of it since the start, or it left; its registration ended; its
last try was refused; it was challenged and did not come back; it says that it is not well (`fault`)."""


class SubscriptionState(Struct, frozen=True, kw_only=True):
    """Times of day; `told` is None before the first notice, `changes` where we do not know them."""

    topic: Topic
    target: str
    until: float
    told: float | None
    notices: int
    changes: int | None


class GroupState(Struct, frozen=True, kw_only=True):
    """The peers below that a rule admits; "" are those of no rule."""

    rule: str
    peers: int
    online: int


class AwayState(Struct, frozen=True, kw_only=True):
    peer: str
    why: Away


class BelowState(Struct, frozen=True, kw_only=True):
    """The peers below of one side, counted: there may be a hundred thousand. `away`: those that are not
    online, by why; `first`: some of them by name."""

    peers: int = 0
    online: int = 0
    rows: int = 0
    syncing: tuple[int, int | None] | None = None  # rows so far and announced of all catalogs under way
    groups: tuple[GroupState, ...] = ()
    away: dict[Away, int] = {}
    first: tuple[AwayState, ...] = ()
    subscriptions: int = 0  # ours at them


class UpperState(Struct, frozen=True, kw_only=True):
    peer: str
    registered: bool
    shared: int
    problem: str
    subscriptions: tuple[SubscriptionState, ...] = ()  # its own at us


class LowerPeerState(Struct, frozen=True, kw_only=True):
    """One peer below; times of day, None where it has no lease."""

    online: bool
    why: Away | None
    rule: str
    address: str
    transport: str
    registered: float | None
    heard: float | None
    until: float | None
    rows: int
    syncing: tuple[int, int | None] | None
    outcome: str  # of its last catalog query
    unwell: bool  # by its last keepalive
    faulty: tuple[str, ...]  # what it calls broken
    deviations: dict[str, int]  # what is put up with, how often
    subscriptions: tuple[SubscriptionState, ...]  # ours at it


class UpperPeerState(Struct, frozen=True, kw_only=True):
    """One peer above."""

    state: UpperState
    missed: int  # keepalives in a row
    pages: int
    deviations: dict[str, int]


class OfPeer(Struct, frozen=True, kw_only=True):
    """What a side has by that id; one box may be both."""

    side: SideName
    below: LowerPeerState | None = None
    above: UpperPeerState | None = None


class TurnState(Struct, frozen=True, kw_only=True):
    """A camera that one of this side's uppers has for itself, for `seconds` unless it does more."""

    channel: str
    peer: str
    level: int
    seconds: float
    moving: bool


class StreamState(Struct, frozen=True, kw_only=True):
    """One stream that this side's peers bring. Counters since it was opened."""

    stream: str
    channel: str
    name: str
    action: str
    viewers: int
    packets: int
    bytes: int
    lost: int
    refused: int
    since: float | None  # time of day of the first packet


class QuotaState(Struct, frozen=True, kw_only=True):
    """What is under way at this side's door by a rule that limits it; a limit of 0 is none."""

    rule: str
    streams: int
    most_streams: int
    bits_per_second: int
    most_bits_per_second: int
    commands: int  # in the last minute
    most_commands: int


class KeptState(Struct, frozen=True, kw_only=True):
    """Alarms on this side's disk for somebody: the other side, or one upper."""

    addressee: str  # "": the other side
    count: int
    oldest: float | None  # time of day since when it is kept; None where there is none
    lost: int  # since there was no room, since the start


class SideState(Struct, frozen=True, kw_only=True):
    side: SideName
    id: str
    address: str
    below: BelowState
    uppers: tuple[UpperState, ...]
    streams: tuple[StreamState, ...]
    turns: tuple[TurnState, ...]
    viewings: int
    calls: int
    ports: int
    crossings: int
    refused: dict[str, int]  # crossings, by rule
    rows_passed: int
    rows_refused: dict[str, int]
    shut: bool
    sip: dict[str, int]  # the engine's counters
    link: LinkView | None = None  # to the other host; None where both sides are one process
    leg: dict[str, int] = {}  # counters of the media between the hosts
    quotas: tuple[QuotaState, ...] = ()
    kept: tuple[KeptState, ...] = ()  # of whom alarms wait for, or were lost
    limits: dict[str, int] = {}  # those in force


class RulesState(Struct, frozen=True, kw_only=True):
    """The rules of one process. `odd`: how many can never decide, by how; `counts`: reloads and what came of
    them, since the start."""

    rules: int
    odd: dict[str, int]
    counts: dict[str, int]


class Standing(Struct, frozen=True, kw_only=True, tag=True):
    now: float
    started: float
    sides: tuple[SideState, ...]
    rules: tuple[RulesState, ...] = ()


class Misunderstood(Struct, frozen=True, kw_only=True, tag=True):
    """No request that this gateway knows, most likely of another version."""

    version: str


class Flowing(Struct, frozen=True, kw_only=True):
    """A stream that is open, as rules look at it."""

    direction: Direction
    peer: str
    action: str
    channel: str


class Reloaded(Struct, frozen=True, kw_only=True, tag=True):
    """What came of it, in words. `taken`: the file is usable, and counts unless a difference was asked."""

    taken: bool
    lines: tuple[str, ...] = ()
    streams: tuple[Flowing, ...] = ()  # where nothing was to be read


class Registrations(Struct, frozen=True, kw_only=True, tag=True):
    """What each side of this process knows of it."""

    now: float
    sides: tuple[OfSide, ...]


class PeerStanding(Struct, frozen=True, kw_only=True, tag=True):
    """Of each side of this process that knows it."""

    now: float
    sides: tuple[OfPeer, ...]


Response = Traced | Standing | Reloaded | Registrations | PeerStanding | Misunderstood

encode: Final = msgspec.msgpack.Encoder().encode
read_request: Final = msgspec.msgpack.Decoder(Request).decode
read_response: Final = msgspec.msgpack.Decoder(Response).decode
