"""What a run of the demo saw, as one typed report, written as JSON; `interop.demo.judging` judges it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from interop.words import Saying

NotMeasured: TypeAlias = Literal["not measured"]
"""A figure that this run had no means to measure; None is one that it should have, and has not."""

NOT_MEASURED: Final = "not measured"


class Delay(Struct, kw_only=True):
    """Glass to glass, in milliseconds."""

    p50: float
    p99: float


class StreamReport(Struct, kw_only=True):
    """One played camera, sender's and receiver's figures side by side."""

    channel: str
    camera: int
    frames_sent: int
    frames_decoded: int
    frames_wrong: int  # strip of another camera, repeated, or unreadable
    frames_lost: list[int]
    packets_sent: int
    packets_received: int
    packets_lost: list[int]
    sha256_sent: str
    sha256_received: str
    setup_ms: float
    delay_ms: Delay | NotMeasured | None = None
    bits_per_second: float = 0.0
    snapshot: str | None = None

    @property
    def identical(self) -> bool:
        return self.packets_sent > 0 and self.sha256_sent == self.sha256_received and not self.packets_lost


class RefusedReport(Struct, kw_only=True):
    """Something asked for that was refused, as the upper platform was told."""

    channel: str
    asked: Literal["play", "ptz"]
    status: int
    reason: str


class SpokenReport(Struct, kw_only=True):
    """A voice from above to a loudspeaker below, speaker's and listener's figures side by side.

    `ended_*` is why it is over: "left" where that end hung up itself, "bye" where the other end did, None
    while it is not.
    """

    target: str
    packets_sent: int
    packets_received: int
    sha256_sent: str  # over the RTP payloads
    sha256_received: str
    setup_ms: float  # announced above until fetched from there
    ended_above: str | None
    ended_below: str | None

    @property
    def identical(self) -> bool:
        return self.packets_sent > 0 and self.sha256_sent == self.sha256_received

    @property
    def ended(self) -> bool:
        """The upper platform hung up, and the loudspeaker was told."""
        return (self.ended_above, self.ended_below) == ("left", "bye")


class RungReport(Struct, kw_only=True):
    """Alarms of a camera below, by their descriptions: those that it rang, those heard above, in order."""

    channel: str
    rung: list[str] = msgspec.field(default_factory=list)
    answered: int = 0  # with 200: kept on disk by then
    heard: list[str] = msgspec.field(default_factory=list)
    crossed_ms: float | None = None  # the first one; None: it never came
    kept: bool = False  # the second waited on disk while the upper platform took none
    kept_ms: float | None = None  # from when that took alarms again

    @property
    def crossed(self) -> bool:
        return self.crossed_ms is not None and self.heard[:1] == self.rung[:1] != []

    @property
    def once(self) -> bool:
        """The second came afterwards, and each came once and in its order."""
        return self.kept and self.kept_ms is not None and self.heard == self.rung


class Orphans(Struct, kw_only=True):
    """What was left behind; every number should be 0."""

    tables: int = 0  # sessions, dialogs and ports in our own tables after the last session
    descriptors: int = 0  # open descriptors more than before the first session
    sockets: int = 0  # UDP sockets more than before, by /proc/net
    after_exit: int | None = None  # UDP sockets of the demo that outlived it, seen from outside

    @property
    def total(self) -> int:
        return self.tables + max(0, self.descriptors) + max(0, self.sockets) + (self.after_exit or 0)


class Attempt(Struct, kw_only=True):
    """Somebody in one network knocks at an address. `beyond` the gateway nobody may hear it."""

    source: Literal["outer", "inner"]
    target: str
    protocol: Literal["udp", "tcp"]
    beyond: bool
    arrived: bool = False


class OutageReport(Struct, kw_only=True):
    """What came of a wire between both hosts that was pulled for `cut_seconds` under a running picture."""

    cut_seconds: float
    frames_before: int = 0
    frames_meanwhile: int = 0  # some were on their way
    frames_after: int = 0
    frames_wrong: int = 0
    resumed_ms: float | None = None  # from the wire's return to the next picture; None: it never came
    answered: bool = False  # a question to a camera beyond the link
    played_again: bool = False  # another camera
    alarmed: bool = False  # an alarm that rang meanwhile was heard
    registered: bool = False  # both registrations are there
    linked: bool = False  # both hosts say so
    rows_kept: bool = False  # both sides know and show what they did before

    @property
    def recovered(self) -> bool:
        again = (self.answered, self.played_again, self.alarmed, self.registered, self.linked, self.rows_kept)
        return self.resumed_ms is not None and not self.frames_wrong and all(again)


class HostsReport(Struct, kw_only=True):
    """Of a run over two hosts. `namespaces` are the inodes of their networks, and of the platforms'."""

    namespaces: list[int]
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    outage: OutageReport | None = None

    @property
    def apart(self) -> bool:
        """What should be heard was, and nothing else."""
        return bool(self.attempts) and all(one.arrived != one.beyond for one in self.attempts)


class Report(Struct, kw_only=True):
    """The demo's report. `problems` is empty exactly when everything held that is in `checked`."""

    seconds: float
    channels_offered: int = 0
    channels_shared: int = 0
    channels_received: int = 0
    streams: list[StreamReport] = msgspec.field(default_factory=list)
    frames_sent: int = 0
    frames_decoded: int = 0
    payload_identical: bool = False
    packets_lost: dict[str, list[int]] = msgspec.field(default_factory=dict)
    setup_ms: list[float] = msgspec.field(default_factory=list)
    delay_ms: Delay | NotMeasured | None = None
    first_picture_seconds: float | None = None
    spoken: SpokenReport | NotMeasured | None = None
    rung: RungReport | NotMeasured | None = None
    refused: list[RefusedReport] = msgspec.field(default_factory=list)
    refused_by_rule: dict[str, int] = msgspec.field(default_factory=dict)  # rows below, crossings above
    controls_below: int = 0  # commands that reached the lower platform; no rule allows any
    audit_records: int = 0
    audit_verified: bool = False
    audit_refused: dict[str, int] = msgspec.field(default_factory=dict)  # by rule, in the records
    audit_problems: list[str] = msgspec.field(default_factory=list)  # the first of each trail, in words
    orphans: Orphans = msgspec.field(default_factory=Orphans)
    sockets: list[str] = msgspec.field(default_factory=list)  # UDP sockets it had: address:port#inode
    snapshots: list[str] = msgspec.field(default_factory=list)
    hosts: HostsReport | None = None  # None: the gateway is one process
    interrupted: bool = False
    checked: list[str] = msgspec.field(default_factory=list)  # promises that were judged, kept or not
    not_checked: list[str] = msgspec.field(default_factory=list)  # promises without a figure to judge by
    problems: list[Saying] = msgspec.field(default_factory=list)

    def refusal(self, asked: str) -> int | None:
        """The status that the upper platform was told when it asked that; None: it was not refused."""
        return next((refused.status for refused in self.refused if refused.asked == asked), None)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read(path: Path) -> Report:
    return msgspec.json.decode(path.read_bytes(), type=Report)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above; `values` is not empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
