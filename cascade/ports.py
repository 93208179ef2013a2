"""What the faces need from outside, as Protocols; `gateway` provides them, tests play them."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from cascade.crossing import Crossing, Failure
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows
from cascade.outbox import Letter


class Reason(Protocol):
    """Why, for people and in no language yet: `str` of it is English."""

    def __str__(self) -> str: ...


class Verdict(Struct, frozen=True):
    """What passes, or None; `rule` is what the audit record and the refusal refer to."""

    passes: Crossing | None
    rule: str
    reason: Reason = ""
    refused: dict[str, int] = {}  # rows left out of a list, by rule
    later: bool = False  # a little later it would pass: only a quota is used up

    @property
    def failure(self) -> Failure:
        """Of what does not pass: by a rule, or since a door cannot record or the link is down."""
        return "unavailable" if self.rule in {"audit", "audit-beyond", "link", "link-full"} else "refused"


class Gate(Protocol):
    """One side's door of the lock."""

    @property
    def shut(self) -> bool:
        """Can nothing be asked beyond now, since a door cannot record it, or nobody is there?"""
        ...

    @property
    def away(self) -> bool:
        """Is nobody beyond? Whoever comes is told how things are then."""
        ...

    def send(self, crossing: Crossing) -> Verdict:
        """Judge, record, and hand over what passes. Never blocks, never raises for a refusal."""
        ...

    def admits(self, action: str, target: ChannelId, origin: PlatformId) -> bool:
        """May `origin` ask this of `target` at all? For a request of which only the head was read.

        A refusal is judged, recorded and counted here like that of a crossing. A yes leaves no
        trace: `send` judges and records the whole once it is read.
        """
        ...

    def note(self, event: str, peer: PlatformId, **details: str) -> None:
        """Write what does not cross, but what an auditor must see, to this door's audit."""
        ...

    def readmit(self, crossing: Crossing) -> Verdict:
        """Judge and record once more what came through in an earlier run, by the rules of today."""
        ...


class Binding(Struct, frozen=True, array_like=True, gc=False):
    """Where a registered peer is, and until when (wall clock seconds)."""

    peer: PlatformId
    host: str
    port: int
    contact: str  # as earlier versions kept it; we speak to where the REGISTER came from
    expires_at: float
    registered_at: float
    proven: int = 0  # the port that its REGISTER came from; 0: `port`
    transport: str = "udp"  # by which it came


class KeptDialog(Struct, frozen=True):
    """One INVITE leg, as it must be known to end it after this process has died (`sip.dialog`).

    Call-ID and our tag are its key. `early`: our INVITE had no answer yet. `request`: their INVITE, in
    outline; without `target` it has no final answer of ours yet.
    """

    peer: PlatformId
    media_port: int  # ours, 0 where there was none yet
    call_id: str
    local: str
    local_tag: str
    remote: str
    remote_tag: str
    local_cseq: int
    target: str
    routes: tuple[str, ...]
    host: str  # where its messages came from, or our INVITE went to
    port: int
    early: bool = False
    request: bytes = b""


class Store(Protocol):
    """What a side keeps. Reads are for start-up; writes are queued and return at once, but for bindings."""

    async def bindings(self) -> list[Binding]: ...

    def save_bindings(self, bindings: Sequence[Binding], gone: Sequence[PlatformId] = ()) -> None:
        """Keep who is registered where, and forget who is not any more; no peer stands in both.

        When this returns it outlives the process, so that the answers may leave.
        """
        ...

    async def dialogs(self) -> list[KeptDialog]:
        """The legs of which nobody has said that they are over."""
        ...

    def save_dialog(self, dialog: KeptDialog) -> None: ...

    def drop_dialog(self, call_id: str, local_tag: str) -> None: ...

    async def written(self) -> None:
        """Return once the dialogs and moving cameras queued so far would survive the machine."""
        ...

    async def mapping(self, upper: PlatformId) -> list[tuple[str, str, str]]:
        """(peer, name, shown) triples of one upper platform, in the order in which they were made."""
        ...

    def save_mapping(self, upper: PlatformId, triples: Sequence[tuple[str, str, str]]) -> None: ...

    async def ring(self) -> list[PlatformId]:
        """Peers that were found to show what we show (`cascade.provenance`)."""
        ...

    def save_ring(self, peer: PlatformId) -> None: ...

    async def moving(self) -> list[ChannelId]:
        """Cameras that were told to move, of which nobody has said that they were stopped."""
        ...

    def save_moving(self, camera: ChannelId) -> None: ...

    def drop_moving(self, camera: ChannelId) -> None: ...

    async def catalog(self) -> list[tuple[PlatformId, Rows]]: ...

    def save_rows(self, peer: PlatformId, present: Rows, gone: Sequence[str]) -> None: ...

    async def letters(self) -> list[Letter]:
        """What is kept for somebody, in the order of keeping."""
        ...

    async def taken(self) -> list[int]:
        """The numbers of the last letters that the other side sent and we took, in order: `WINDOW`."""
        ...

    async def keep(
        self, letters: Sequence[Letter], gone: Sequence[Letter] = (), *, taken: Sequence[int] = ()
    ) -> bool:
        """Keep these, forget those that are `gone`, and remember those that were `taken`: all or nothing.

        True once it would survive the machine; False where it could not be written.
        """
        ...

    async def flush(self) -> None:
        """Return once everything queued so far is on disk."""
        ...

    async def close(self) -> None: ...


class Agreed(Struct, frozen=True):
    """What the other end of a leg agreed to in its SDP, already checked against its networks."""

    host: str
    port: int
    ssrc: int | None  # None: to be learnt from the first packet (`ssrc` = learn)
    payload_type: int
    encoding: str = "PS/90000"
    description: str = ""  # f=


class Leg(Protocol):
    """One dialog with media, placed (we invite) or accepted (we are invited)."""

    agreed: Agreed

    async def confirmed(self) -> None:
        """Return once the ACK was sent (placed) or seen (accepted).

        Raises:
            StreamFailed: the other end never confirmed.
        """
        ...

    async def ended(self) -> str:
        """Wait until the other end is over; return why."""
        ...

    def because(self, failure: Failure, text: str) -> None:
        """Say why we end: becomes the Reason header (RFC 3326) of our BYE."""
        ...
