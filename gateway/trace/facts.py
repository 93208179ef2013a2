"""What is known of what happened: messages, crossings and media, as they are kept and handed out.

Each fact has the side that saw it, its wall-clock moment, and a number that rises within its source (the
messages of a socket; crossings and media of a side), so that who follows asks for what is newer.
"""

from typing import Any, Literal

from msgspec import Struct

from cascade.crossing import Direction

SideName = Literal["outer", "inner"]
Address = tuple[str, int]


class Fact(Struct, frozen=True, kw_only=True, tag=True):
    side: SideName = "outer"
    at: float = 0.0  # 0 until it is kept
    number: int = 0


class Message(Fact, frozen=True):
    """One SIP datagram: its first 8 KiB, every secret in it covered (`sip-core/src/mask.rs`)."""

    sent: bool  # by us
    ours: Address
    peer: Address
    length: int  # of the whole datagram
    data: bytes


class Crossed(Fact, frozen=True):
    """One door's decision, as it was given to the audit."""

    door: Literal["send", "receive"]
    direction: Direction
    kind: str
    action: str
    origin: str
    correlation: int
    subjects: tuple[str, ...]
    passed: bool
    rule: str
    details: dict[str, Any] = {}


class Noted(Fact, frozen=True):
    """What happened at a door beside crossings: as the audit has it, or that its link was given up."""

    event: str
    peer: str = ""
    details: dict[str, str] = {}


class Media(Fact, frozen=True, kw_only=True):
    """`leg`: of the stream on its way between two hosts, seen by `side`."""

    leg: bool = False


class PortOpened(Media, frozen=True):
    """Our socket for what `stream` brings, or for what leaves to `viewer`."""

    stream: str
    host: str
    port: int
    viewer: str = ""


class Awaited(Media, frozen=True):
    """What the relay admits from now on. `ssrc` None: what the first packet says."""

    stream: str
    sources: tuple[str, ...]
    ssrc: int | None
    payload_type: int


class Aimed(Media, frozen=True):
    """Where a viewer's packets go from now on."""

    stream: str
    viewer: str
    host: str
    port: int
    ssrc: int
    payload_type: int


class Began(Media, frozen=True):
    """The first packet was admitted."""

    stream: str
    ssrc: int
    host: str
    port: int


class Silent(Media, frozen=True):
    """Media did not come, or came no more."""

    stream: str
    kind: Literal["no-media", "media-lost"]


class Broken(Media, frozen=True):
    """A socket is of no use any more."""

    stream: str
    reason: str
    viewer: str = ""


class Counted(Media, frozen=True):
    """What came of a stream until it was closed, or until now."""

    stream: str
    over: bool
    received: int = 0
    admitted: int = 0
    bytes: int = 0
    lost: int = 0
    refused: dict[str, int] = {}  # by reason, those that occurred
    first: float | None = None  # wall-clock moments of the first and the newest packet
    last: float | None = None
    foreign_ssrc: int | None = None


class Sent(Media, frozen=True):
    """What left to a viewer until it was dropped, or until now."""

    stream: str
    viewer: str
    over: bool
    packets: int = 0
    bytes: int = 0
    unsent: int = 0  # the operating system did not take them


MediaFact = PortOpened | Awaited | Aimed | Began | Silent | Broken | Counted | Sent
AnyFact = Message | Crossed | Noted | MediaFact
