"""The report as a person reads it, in the language of the run."""

from collections.abc import Iterator

from interop.demo.judging import PROMISES
from interop.demo.report import (
    NOT_MEASURED,
    HostsReport,
    RefusedReport,
    Report,
    RungReport,
    SpokenReport,
    StreamReport,
)
from interop.words import Saying, Words, saying


def summary(report: Report, words: Words) -> str:
    return "\n".join(words.render(line) if line else "" for line in _lines(report))


def _lines(report: Report) -> Iterator[Saying | None]:
    """One for each line; None is an empty one."""
    yield saying(
        "summary.catalog",
        offered=report.channels_offered,
        shared=report.channels_shared,
        received=report.channels_received,
    )
    yield from map(_stream, report.streams)
    delay = report.delay_ms
    if delay == NOT_MEASURED:
        yield saying("summary.no_delay")
    elif delay is not None:
        yield saying("summary.delay", p50=round(delay.p50), p99=round(delay.p99))
    if isinstance(report.spoken, SpokenReport):
        yield _voice(report.spoken)
    if isinstance(report.rung, RungReport):
        yield from _alarms(report.rung)
    for refused in report.refused:
        yield saying("summary.refused", what=refusal(refused))
    if report.hosts is not None:
        yield from _hosts(report.hosts)
    chain = saying("summary.whole") if report.audit_verified else saying("summary.broken")
    yield saying("summary.audit", records=report.audit_records, chain=chain)
    left: Saying | int = report.orphans.total or saying("summary.nothing")
    yield saying("summary.left", left=left)
    for picture in report.snapshots:
        yield saying("summary.picture", picture=picture)
    yield from _verdict(report)


def refusal(refused: RefusedReport) -> Saying:
    """What was refused, with the status, and the reason phrase or the rule."""
    if refused.asked == "play":
        return saying("refused.play", channel=refused.channel, status=refused.status, reason=refused.reason)
    return saying("refused.ptz", channel=refused.channel, status=refused.status, rule=refused.reason)


def _stream(stream: StreamReport) -> Saying:
    return saying(
        "summary.stream",
        camera=stream.camera,
        channel=stream.channel,
        decoded=stream.frames_decoded,
        sent=stream.frames_sent,
        rate=f"{stream.bits_per_second / 1e6:.2f}",
        setup=round(stream.setup_ms),
        payload=saying("summary.identical") if stream.identical else saying("summary.different"),
    )


def _voice(spoken: SpokenReport) -> Saying:
    return saying(
        "summary.voice",
        target=spoken.target,
        heard=spoken.packets_received,
        sent=spoken.packets_sent,
        setup=round(spoken.setup_ms),
        payload=saying("summary.identical") if spoken.identical else saying("summary.different"),
        end=saying("summary.hung_up") if spoken.ended else saying("summary.not_hung_up"),
    )


def _alarms(rung: RungReport) -> Iterator[Saying]:
    if rung.crossed_ms is not None:
        yield saying("summary.alarm", channel=rung.channel, ms=round(rung.crossed_ms))
    if rung.kept_ms is not None:
        yield saying("summary.alarm_kept", ms=round(rung.kept_ms))


def _hosts(hosts: HostsReport) -> Iterator[Saying]:
    beyond = [one for one in hosts.attempts if one.beyond]
    yield saying("summary.apart", tried=len(beyond), arrived=sum(one.arrived for one in beyond))
    if hosts.outage is None:
        return
    seconds = round(hosts.outage.cut_seconds)
    if hosts.outage.resumed_ms is None:
        yield saying("summary.no_return", seconds=seconds)
    else:
        yield saying("summary.outage", seconds=seconds, resumed=round(hosts.outage.resumed_ms))
    if hosts.outage.alarmed:
        yield saying("summary.alarm_meanwhile")


def _verdict(report: Report) -> Iterator[Saying | None]:
    """What was judged and what came of it; every problem with what to do."""
    for name in report.not_checked:
        yield saying("summary.not_checked", promise=PROMISES[name])
    if report.problems:
        yield None
        for problem in report.problems:
            yield saying("summary.problem", problem=problem)
        yield saying("summary.remedy")
    elif report.interrupted:
        yield saying("summary.stopped")
    else:
        yield saying("summary.held", promises=len(report.checked))
