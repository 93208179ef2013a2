"""What `lockgate status` shows of the link between two hosts: rows, lines, and what is to be looked at."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from gateway.chamber.link.standing import WARNED_DAYS, CertificateView, LinkView
from gateway.chamber.link.why import DISTRUST
from gateway.local.messages import SideState
from gateway.words import Saying, Words, saying

TALLIED: Final = ("replayed", "bad_tag", "foreign_source", "not_trunk", "unknown_epoch")
"""Datagrams of the leg whose refusal an administrator should look into."""

LEG: Final[dict[str, Saying]] = {
    "replayed": saying("status.leg_replayed"),
    "bad_tag": saying("status.leg_forged"),
    "foreign_source": saying("status.leg_stranger"),
    "not_trunk": saying("status.leg_unsealed"),
    "unknown_epoch": saying("status.leg_key"),
}

BEFELL: Final[dict[str, Saying]] = {
    "begun": saying("befell.begun"),
    "resumed": saying("befell.resumed"),
    "lost_frames": saying("befell.lost_frames"),
    "clock-jumps": saying("befell.clock_jumps"),
    "closed": saying("befell.closed"),
    "stopping": saying("befell.stopping"),
    "replaced": saying("befell.replaced"),
    "lost": saying("befell.lost"),
    "unreachable": saying("befell.unreachable"),
    "silent": saying("befell.silent"),
    "slow": saying("befell.slow"),
    "truncated": saying("befell.truncated"),
    "frame": saying("befell.frame"),
    "crossing": saying("befell.crossing"),
    "tls": saying("befell.tls"),
    "files": saying("befell.files"),
    "stranger": saying("befell.stranger"),
    "crowd": saying("befell.crowd"),
    **{f"theirs-{kind}": saying("befell.theirs", why=why) for kind, why in DISTRUST.items()},
    **{f"ours-{kind}": saying("befell.ours", why=why) for kind, why in DISTRUST.items()},
}
"""What an end of the link counts, for people; `tests/gateway/test_status.py` compares it with the kinds."""

SECONDS_A_DAY: Final = 86_400


def rows(sides: Sequence[SideState], now: float, words: Words) -> list[tuple[str, str]]:
    """For the box of the lock. Where both hosts were asked, what the first of them sees."""
    say = words.say
    link = next((side.link for side in sides if side.link is not None), None)
    if link is None:
        return [(say("status.link"), say("status.one_process"))]
    lasting = span(now - link.since)
    state = say("status.link_up", span=lasting) if link.up else say("status.link_down", span=lasting)
    shown = [(say("status.link"), state)]
    if link.round_trip is not None:
        shown.append((say("status.round_trip"), f"{1000 * link.round_trip:.1f} ms"))
    return shown


def lines(sides: Sequence[SideState], words: Words) -> Iterator[str]:
    """A line for each host's end, one for its certificates, one for its media."""
    for side in sides:
        if side.link is not None:
            yield from _of_end(side, side.link, words)


def _of_end(side: SideState, link: LinkView, words: Words) -> Iterator[str]:
    say = words.say
    name = _side(side.side)
    since = _moment(link.since)
    counted = [(BEFELL[kind], count) for kind, count in sorted(link.counts.items()) if count]
    befell = ", ".join(say("befell.times", what=what, count=count) for what, count in counted) or "-"
    if link.up and link.dialler is not None:
        dialler = _side(link.dialler)
        yield say(
            "status.link_since", side=name, since=since, dialler=dialler, unheard=link.unheard, befell=befell
        )
    else:
        yield say("status.link_away", side=name, since=since, unheard=link.unheard, befell=befell)
    if link.own is not None and link.other is not None:
        yield say(
            "status.certificates",
            side=name,
            own=link.own.id,
            own_until=_day(link.own.until),
            other=link.other.id,
            other_until=_day(link.other.until),
        )
    leg = side.leg
    yield say(
        "status.leg",
        side=name,
        sealed=leg.get("sealed", 0),
        opened=leg.get("opened", 0),
        lost=leg.get("lost", 0),
        replayed=leg.get("replayed", 0),
    )


def troubles(sides: Sequence[SideState], now: float, words: Words) -> Iterator[str]:
    for side in sides:
        link, name = side.link, _side(side.side)
        if link is None:
            continue
        if not link.up:
            why, remedy = link.why or saying("status.link_not_yet"), link.remedy or ""
            yield words.say("status.link_trouble", side=name, why=why, remedy=remedy)
        for certificate in (link.own, link.other):
            if certificate is not None and (said := _ending(certificate, now)) is not None:
                yield words.render(said)
        for kind in TALLIED:
            if count := side.leg.get(kind, 0):
                yield words.say("status.leg_refused", side=name, kind=LEG[kind], count=count)


def _ending(certificate: CertificateView, now: float) -> Saying | None:
    """Said of a certificate that ends within 30 days."""
    days = (certificate.until - now) / SECONDS_A_DAY
    if days > WARNED_DAYS:
        return None
    side = _side(certificate.side)
    day = _day(certificate.until)
    if days < 0:
        return saying("status.certificate_over", side=side, id=certificate.id, day=day)
    return saying("status.certificate_ends", side=side, id=certificate.id, day=day, days=int(days))


def span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _side(name: str) -> Saying:
    return saying("side.outer") if name == "outer" else saying("side.inner")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")
