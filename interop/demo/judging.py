"""The promises of the demo's report, and which of them a run kept.

The same judge stands over every run, whoever the platforms were. A promise whose figure was not
measured is not kept: it is a problem, unless the run said beforehand that it has no means for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interop.demo.report import (
    NOT_MEASURED,
    Delay,
    HostsReport,
    NotMeasured,
    OutageReport,
    Report,
    RungReport,
    SpokenReport,
)
from interop.words import Saying, saying

PROMISES: Final[dict[str, Saying]] = {
    "offered": saying("promise.offered"),
    "shared": saying("promise.shared"),
    "received": saying("promise.received"),
    "played": saying("promise.played"),
    "decoded": saying("promise.decoded"),
    "lossless": saying("promise.lossless"),
    "identical": saying("promise.identical"),
    "own_picture": saying("promise.own_picture"),
    "setup": saying("promise.setup"),
    "delay": saying("promise.delay"),
    "voice_heard": saying("promise.voice_heard"),
    "voice_identical": saying("promise.voice_identical"),
    "voice_setup": saying("promise.voice_setup"),
    "voice_ended": saying("promise.voice_ended"),
    "alarm": saying("promise.alarm"),
    "alarm_kept": saying("promise.alarm_kept"),
    "kept_camera": saying("promise.kept_camera"),
    "ptz": saying("promise.ptz"),
    "refusals": saying("promise.refusals"),
    "counted": saying("promise.counted"),
    "recorded": saying("promise.recorded"),
    "untouched": saying("promise.untouched"),
    "audit": saying("promise.audit"),
    "nothing_left": saying("promise.nothing_left"),
    "pictures": saying("promise.pictures"),
    "apart": saying("promise.apart"),
    "recovered": saying("promise.recovered"),
}
"""What each promise is called."""

VOICE: Final = ("voice_heard", "voice_identical", "voice_setup", "voice_ended")
"""The promises about a voice from above."""
ALARMS: Final = ("alarm", "alarm_kept")
"""Those about alarms from below."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run should come to: cameras offered below and shared, cameras played.

    `without` are the promises for which it has no means; the demo has means for all.
    """

    cameras: int
    shared: int
    plays: int
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Promise:
    """`kept` is None where the figure was not measured; `problem` says what is when it is not kept."""

    name: str
    kept: bool | None
    problem: Saying


def judge(report: Report, expected: Expected) -> None:
    """Write into the report which promises were checked, which could not be, and what did not hold."""
    for promise in promises(report, expected):
        if promise.kept is None and promise.name in expected.without:
            report.not_checked.append(promise.name)
            continue
        report.checked.append(promise.name)
        if promise.kept is None:
            report.problems.append(saying("problem.not_measured", promise=PROMISES[promise.name]))
        elif not promise.kept and promise.problem not in report.problems:
            report.problems.append(promise.problem)


def promises(report: Report, expected: Expected) -> Iterator[Promise]:
    """Every promise, in the order in which a reader should be told."""
    yield from _of_the_catalog(report, expected)
    yield from _of_the_streams(report, expected)
    yield from _of_the_voice(report.spoken)
    yield from _of_alarms(report.rung)
    yield from _of_refusals(report)
    yield from _of_what_remains(report, expected)
    if report.hosts is not None:
        yield from _of_two_hosts(report.hosts)


def _of_the_catalog(report: Report, expected: Expected) -> Iterator[Promise]:
    offered, shared, received = report.channels_offered, report.channels_shared, report.channels_received
    yield Promise(
        "offered",
        offered == expected.cameras,
        saying("problem.offered", offered=offered, wanted=expected.cameras),
    )
    yield Promise(
        "shared", shared == expected.shared, saying("problem.shared", shared=shared, wanted=expected.shared)
    )
    yield Promise(
        "received", received == shared, saying("problem.received", received=received, shared=shared)
    )


def _of_the_streams(report: Report, expected: Expected) -> Iterator[Promise]:
    streams = report.streams
    yield Promise(
        "played",
        len(streams) == expected.plays,
        saying("problem.played", played=len(streams), wanted=expected.plays),
    )
    yield Promise(
        "decoded",
        report.frames_decoded == report.frames_sent > 0,
        saying("problem.decoded", decoded=report.frames_decoded, sent=report.frames_sent),
    )
    lost = sum(map(len, report.packets_lost.values()))
    yield Promise("lossless", not lost, saying("problem.lossless", lost=lost))
    yield Promise("identical", report.payload_identical, saying("problem.identical"))
    wrong = sum(stream.frames_wrong for stream in streams)
    yield Promise("own_picture", not wrong, saying("problem.own_picture", wrong=wrong))
    timed = len(report.setup_ms) == len(streams) and all(ms > 0 for ms in report.setup_ms)
    yield Promise("setup", timed, saying("problem.setup"))
    yield Promise("delay", _known(report.delay_ms), saying("problem.delay"))


def _of_the_voice(spoken: SpokenReport | NotMeasured | None) -> Iterator[Promise]:
    """Nobody spoke where nobody can: nothing was measured. None: somebody should have."""
    known = None if spoken == NOT_MEASURED else False
    if isinstance(spoken, SpokenReport):
        sent, heard = spoken.packets_sent, spoken.packets_received
        yield Promise("voice_heard", sent == heard > 0, saying("problem.voice_heard", heard=heard, sent=sent))
        yield Promise("voice_identical", spoken.identical, saying("problem.voice_identical"))
        yield Promise("voice_setup", spoken.setup_ms > 0, saying("problem.voice_setup"))
        above, below = spoken.ended_above or "-", spoken.ended_below or "-"
        yield Promise("voice_ended", spoken.ended, saying("problem.voice_ended", above=above, below=below))
        return
    for name in VOICE:
        yield Promise(name, known, saying("problem.voice_missing"))


def _of_alarms(rung: RungReport | NotMeasured | None) -> Iterator[Promise]:
    """As with a voice: nothing was measured where nobody can ring."""
    known = None if rung == NOT_MEASURED else False
    if isinstance(rung, RungReport):
        yield Promise("alarm", rung.crossed, saying("problem.alarm", channel=rung.channel))
        heard, count = ", ".join(rung.heard) or "-", len(rung.rung)
        yield Promise("alarm_kept", rung.once, saying("problem.alarm_kept", count=count, heard=heard))
        return
    for name in ALARMS:
        yield Promise(name, known, saying("problem.alarm_missing"))


def _of_refusals(report: Report) -> Iterator[Promise]:
    yield Promise(
        "kept_camera",
        report.refusal("play") == 404,
        saying("problem.kept_camera", told=_told(report.refusal("play"))),
    )
    yield Promise(
        "ptz", report.refusal("ptz") == 403, saying("problem.ptz", told=_told(report.refusal("ptz")))
    )
    yield Promise(
        "refusals",
        [refused.asked for refused in report.refused] == ["play", "ptz"],
        saying("problem.refusals", count=len(report.refused)),
    )
    yield Promise("counted", report.refused_by_rule.get("no-ptz") == 1, saying("problem.counted"))
    yield Promise("recorded", report.audit_refused.get("no-ptz") == 1, saying("problem.recorded"))
    yield Promise(
        "untouched", report.controls_below == 0, saying("problem.untouched", count=report.controls_below)
    )


def _of_what_remains(report: Report, expected: Expected) -> Iterator[Promise]:
    yield Promise(
        "audit",
        report.audit_records > 0 and report.audit_verified,
        saying("problem.audit", problems=" ".join(report.audit_problems)),
    )
    yield Promise("nothing_left", report.orphans.total == 0, left_behind(report))
    there = sum(Path(picture).is_file() for picture in report.snapshots)
    yield Promise(
        "pictures", there == expected.plays, saying("problem.pictures", there=there, wanted=expected.plays)
    )


def _of_two_hosts(hosts: HostsReport) -> Iterator[Promise]:
    crossed = sorted({one.target for one in hosts.attempts if one.beyond and one.arrived})
    yield Promise(
        "apart",
        hosts.apart,
        saying("problem.apart", targets=", ".join(crossed)) if crossed else saying("problem.apart_untried"),
    )
    outage = hosts.outage or OutageReport(cut_seconds=0.0)
    yield Promise(
        "recovered", outage.recovered, saying("problem.recovered", seconds=round(outage.cut_seconds))
    )


def left_behind(report: Report) -> Saying:
    left = report.orphans
    return saying("problem.left", tables=left.tables, descriptors=left.descriptors, sockets=left.sockets)


def _known(delay: Delay | NotMeasured | None) -> bool | None:
    return None if delay == NOT_MEASURED else delay is not None


def _told(status: int | None) -> Saying:
    return saying("told.allowed") if status is None else saying("told.status", status=status)
