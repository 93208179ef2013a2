"""What may cross the lock. A closed union of envelopes: nothing else can be sent, either way.

These are meanings, not messages: no SIP header, XML text, address, port, SN or Call-ID of one
side appears here, so none can reach the other side.
"""

from typing import Final, Generic, Literal, TypeVar, get_args

from msgspec import Struct

from cascade.model.commands import Command
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows

P = TypeVar("P")

Direction = Literal["inward", "outward"]
"""Inward: towards the public-security network. Not up or down, which are about cascade levels."""

ROWS_PER_CROSSING: Final = 1000
"""The most rows of one `CatalogBatch`, so that other crossings get between."""

BACK: Final[dict[Direction, Direction]] = {"inward": "outward", "outward": "inward"}

LIVE: Final = "media.live"

Encoding = Literal["PCMA/8000", "PCMU/8000", "PS/90000"]
"""Of a voice, name and clock as in rtpmap: G.711, or in PS as the 2014 edition has it (5.11)."""

Failure = Literal[
    "not-found",
    "offline",
    "busy",
    "unacceptable",
    "refused",
    "unavailable",
    "timeout",
    "no-media",
    "failed",
]
"""Why something asked for did not come about; each face writes it as its protocol's status.

"refused" is a rule's word; "unavailable" is ours: a door cannot record, and may soon again.
"""

End = Literal[
    "",
    "stopped",
    "bye",
    "no ACK",
    "nobody watches",
    "no media arrived",
    "media stopped",
    "peer moved",
    "peer offline",
    "peer removed",
    "cancelled by the viewer",
    "no answer from below",
]
"""How a stream ended, in our words. What a peer wrote about it stays on its side: in our log there."""

_ENDS: Final[dict[str, End]] = {end: end for end in get_args(End)}


def end_of(reason: str) -> End:
    """What the other side may hear of a reason: itself if it is one of ours, else nothing."""
    return _ENDS.get(reason, "")


class Envelope(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    correlation: int  # of the side that asked; both sides keep their own SN, tags and Call-ID to it
    origin: PlatformId  # the peer it came from
    users: tuple[str, ...] = ()  # who asked, nearest last
    seconds_left: float = 30.0  # shrinks at each hop, so the nearest upper hears the failure from us


class Ask(Envelope, Generic[P], frozen=True):
    payload: P


class Answer(Envelope, Generic[P], frozen=True):
    """`part` counts from 1; paging on one side is independent of paging on the other."""

    payload: P
    part: int = 1
    last: bool = True


class NoAnswer(Envelope, frozen=True):
    """The end of an `Ask` that brings nothing: refused beyond, unknown there, or out of time."""

    action: str
    failure: Failure
    rule: str = ""


class Notice(Envelope, Generic[P], frozen=True):
    payload: P


Change = Literal["present", "gone", "anew", "whole"]


class CatalogBatch(Envelope, frozen=True):
    """Up to 1,000 rows of one peer, held in native columns; a row becomes Python only when looked at.

    `change`: the rows are there from now on ("present"), or no longer ("gone": only ids count). Without
    rows: all rows of the peer are told from here on ("anew"), and have been told since then ("whole"), so
    that whatever else the far side holds of it is gone.
    """

    change: Change
    rows: Rows


class StreamOpen(Envelope, frozen=True):
    """A peer of this side wants media; `action` names its kind in rules.

    An upper wants to see `channel`. Or `channel` is to hear what was announced to it: then
    `invitation` is the correlation of that `Ask`, by whose rule this is judged.
    """

    channel: ChannelId
    action: str = LIVE
    stream_number: int = 0  # 0 main, 1.. sub
    invitation: int = 0  # 0: nobody asked for this
    encodings: tuple[Encoding, ...] = ()  # what the viewer takes, best first; () leaves it to the source


class StreamOffered(Envelope, frozen=True):
    """The source is ready: media of `stream` flows through the relay in this format."""

    channel: ChannelId
    action: str
    stream: str
    payload_type: int
    encoding: str  # name and clock as in rtpmap, such as PS/90000
    description: str = ""  # GB/T 28181 annex G (2016) f= fields, checked


class StreamControl(Envelope, frozen=True):
    """Playback control in the viewer's own session; nothing sends it yet."""

    channel: ChannelId
    action: str


class StreamEnded(Envelope, frozen=True):
    """Either end is over: towards the source "nobody watches here any more", else "nothing comes"."""

    channel: ChannelId
    failure: Failure | None = None  # None: an ordinary end
    reason: End = ""
    rule: str = ""  # that refused it beyond


Stream = StreamOpen | StreamOffered | StreamControl | StreamEnded
Crossing = Ask[Command] | Answer[Command] | NoAnswer | Notice[Command] | CatalogBatch | Stream
