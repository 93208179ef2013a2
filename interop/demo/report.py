"""What the demo saw, as one typed report: written as JSON, judged, and told in plain sentences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct


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
    delay_ms: Delay | None = None
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


class Orphans(Struct, kw_only=True):
    """What was left behind; every number should be 0."""

    tables: int = 0  # sessions, dialogs and ports in our own tables after the last session
    descriptors: int = 0  # open descriptors more than before the first session
    sockets: int = 0  # UDP sockets more than before, by /proc/net
    after_exit: int | None = None  # UDP sockets of the demo that outlived it, seen from outside

    @property
    def total(self) -> int:
        return self.tables + max(0, self.descriptors) + max(0, self.sockets) + (self.after_exit or 0)


class Report(Struct, kw_only=True):
    """The demo's report. `problems` is empty exactly when everything held."""

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
    delay_ms: Delay | None = None
    first_picture_seconds: float | None = None
    refused: list[RefusedReport] = msgspec.field(default_factory=list)
    refused_by_rule: dict[str, int] = msgspec.field(default_factory=dict)  # rows below, crossings above
    controls_below: int = 0  # commands that reached the lower platform; no rule allows any
    audit_records: int = 0
    audit_verified: bool = False
    audit_refused: dict[str, int] = msgspec.field(default_factory=dict)  # by rule, in the records
    audit_problems: list[str] = msgspec.field(default_factory=list)  # the first of each trail
    orphans: Orphans = msgspec.field(default_factory=Orphans)
    sockets: list[str] = msgspec.field(default_factory=list)  # UDP sockets it had: address:port#inode
    snapshots: list[str] = msgspec.field(default_factory=list)
    interrupted: bool = False
    not_yet: list[str] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)

    def judge(self, *, cameras: int, shared: int, plays: int) -> list[str]:
        """Say in sentences what did not hold; `cameras` were offered, `shared` expected, `plays` asked."""
        there = [picture for picture in self.snapshots if Path(picture).is_file()]
        checks = [
            (
                self.channels_offered == cameras,
                f"The lower platform offered {self.channels_offered} of {cameras} cameras.",
            ),
            (
                self.channels_shared == shared,
                f"The rules share {self.channels_shared} cameras instead of {shared}.",
            ),
            (
                self.channels_received == self.channels_shared,
                f"The upper platform received {self.channels_received} of {self.channels_shared} cameras.",
            ),
            (len(self.streams) == plays, f"{len(self.streams)} of {plays} cameras played."),
            (
                self.frames_decoded == self.frames_sent > 0,
                f"{self.frames_decoded} frames were decoded of {self.frames_sent} sent.",
            ),
            (
                not self.packets_lost,
                f"{sum(map(len, self.packets_lost.values()))} packets were lost on the way.",
            ),
            (self.payload_identical, "Sender's and receiver's SHA-256 over the PS bytes differ."),
            (
                not any(stream.frames_wrong for stream in self.streams),
                "Some frames showed another camera, came twice, or could not be read.",
            ),
            (
                len(self.setup_ms) == len(self.streams) and all(ms > 0 for ms in self.setup_ms),
                "A set-up time is missing.",
            ),
            (self.delay_ms is not None, "No glass-to-glass delay was measured."),
            (
                self._status("play") == 404,
                f"Playing a camera that no rule shares was {self._told('play')} instead of refused with 404.",
            ),
            (
                self._status("ptz") == 403,
                f"PTZ, which a rule forbids, was {self._told('ptz')} instead of refused with 403.",
            ),
            (
                [refused.asked for refused in self.refused] == ["play", "ptz"],
                f"{len(self.refused)} requests were refused instead of one to play and one for PTZ.",
            ),
            (
                self.refused_by_rule.get("no-ptz") == 1,
                "The near door did not count one refusal by the rule no-ptz.",
            ),
            (
                self.audit_refused.get("no-ptz") == 1,
                "The audit trail has no record of the refusal by the rule no-ptz.",
            ),
            (
                self.controls_below == 0,
                f"{self.controls_below} commands that a rule forbids reached the lower platform.",
            ),
            (
                self.audit_records > 0 and self.audit_verified,
                " ".join(["The audit trail is empty or does not verify.", *self.audit_problems]),
            ),
            (self.orphans.total == 0, f"Something was left behind: {msgspec.to_builtins(self.orphans)}."),
            (len(there) == plays, f"{len(there)} of {plays} pictures were saved."),
        ]
        return [sentence for held, sentence in checks if not held]

    def _status(self, asked: str) -> int | None:
        """What the upper platform was told when it asked that; None: it was not refused."""
        return next((refused.status for refused in self.refused if refused.asked == asked), None)

    def _told(self, asked: str) -> str:
        status = self._status(asked)
        return "not refused" if status is None else f"refused with {status}"

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read(path: Path) -> Report:
    return msgspec.json.decode(path.read_bytes(), type=Report)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above; `values` is not empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(report: Report) -> str:
    """The report as a person reads it."""
    lines = [
        f"Catalog: {report.channels_offered} cameras offered below, {report.channels_shared} shared by the "
        f"rules, {report.channels_received} received above."
    ]
    for stream in report.streams:
        lines.append(
            f"Camera {stream.camera} ({stream.channel}): {stream.frames_decoded} of {stream.frames_sent} "
            f"frames, {stream.bits_per_second / 1e6:.2f} Mbit/s, set up in {stream.setup_ms:.0f} ms, payload "
            + ("identical" if stream.identical else "NOT identical")
        )
    if report.delay_ms:
        lines.append(
            f"Glass to glass: {report.delay_ms.p50:.0f} ms (median), {report.delay_ms.p99:.0f} ms (p99)."
        )
    lines += [
        f"Refused: {refused.asked} of {refused.channel} with {refused.status} {refused.reason}."
        for refused in report.refused
    ]
    lines.append(
        f"Audit: {report.audit_records} records, "
        + ("chain verified." if report.audit_verified else "chain NOT verified.")
    )
    lines.append(f"Left behind: {report.orphans.total or 'nothing'}.")
    lines += [f"Picture: {picture}" for picture in report.snapshots]
    lines += [f"Not yet built: {missing}" for missing in report.not_yet]
    if report.problems:
        lines += ["", *[f"PROBLEM: {problem}" for problem in report.problems]]
    elif report.interrupted:
        lines.append("Stopped early; nothing was wrong until then.")
    else:
        lines.append("Everything held.")
    return "\n".join(lines)
