"""`lockgate status`: how the running gateway stands, once or again and again."""

import sys
import time
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from gateway.cli import quotas, status_limits, status_link, status_peers
from gateway.cli.check import DEFAULT, config_option, tell
from gateway.cli.scaffold import Frame
from gateway.cli.status_link import span
from gateway.config import examine
from gateway.config_limits import costly
from gateway.local.client import Gateway, Unanswered, connected
from gateway.local.messages import KeptState, RulesState, SideState, Standing, StreamState, TurnState
from gateway.screen import Bar, Listing, LiveScreen, Page, Place, Refusals, Screen
from gateway.words import Words, printable, saying
from gateway.words.limits import LIMITS

WATCH_SECONDS: Final = 1.0
MAX_TURNS: Final = 5
"""Cameras of a side of which is shown who turns them."""
ODD: Final = {
    "rule_covered": saying("odd.rule_covered"),
    "rule_dead": saying("odd.rule_dead"),
    "rule_undone": saying("odd.rule_undone"),
    "selector_idle": saying("odd.selector_idle"),
}
"""Of the rules that count: what their check says one by one."""
NOT_TAKEN: Final = {
    "refused": saying("odd.reload_refused"),
    "tickets_unusable": saying("odd.tickets_unusable"),
}
COLOURS: Final = {"outer": "yellow", "inner": "cyan"}


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("status", **frame.command(words.say("help.status")))
    def command(
        watch: Annotated[bool, typer.Option("--watch", help=words.say("help.watch"))] = False,
        peer: Annotated[str, typer.Option("--peer", help=words.say("help.status_peer"), metavar="ID")] = "",
        limits: Annotated[bool, typer.Option("--limits", help=words.say("help.status_limits"))] = False,
        config: Annotated[Path, config_option(words)] = DEFAULT,
    ) -> None:
        known = True
        try:
            with connected(state_of(config, words)) as gateways:
                if peer:
                    known = status_peers.show(gateways, peer, words)
                elif limits:
                    status_limits.show(gathered([gateway.status() for gateway in gateways]).sides, words)
                else:
                    status(gateways, words, watch=watch)
        except Unanswered as error:
            typer.echo(words.render(error.said), err=True)
            raise typer.Exit(2) from error
        if not known:
            raise typer.Exit(1)


def state_of(file: Path, words: Words) -> Path:
    """The state folder that a configuration names. Exits 2 where none can be read."""
    examined = examine(file)
    if examined.config is None:
        tell(examined.problems, words)
        raise typer.Exit(2)
    return Path(examined.config.gateway.state)


def status(gateways: Sequence[Gateway], words: Words, *, watch: bool = False) -> None:
    before = gathered([gateway.status() for gateway in gateways])
    if not watch:
        rows = 2000 if not sys.stdout.isatty() else None  # a pipe has no height
        Console(height=rows).print(Screen(page(before, None, words)))
        return
    try:
        with LiveScreen(Console()) as screen:
            screen.show(page(before, None, words))
            while True:
                time.sleep(WATCH_SECONDS)
                now = gathered([gateway.status() for gateway in gateways])
                screen.show(page(now, before, words))
                before = now
    except KeyboardInterrupt:
        return


def gathered(standings: Sequence[Standing]) -> Standing:
    """Both hosts' halves as one."""
    return Standing(
        now=max(one.now for one in standings),
        started=min(one.started for one in standings),
        sides=tuple(side for one in standings for side in one.sides),
        rules=tuple(rules for one in standings for rules in one.rules),
    )


def page(now: Standing, before: Standing | None, words: Words) -> Page:
    """What is shown; rates are between two looks, or since a stream began."""
    say = words.say
    sides = {side.side: side for side in now.sides}
    outer, inner = sides.get("outer"), sides.get("inner")
    places = [
        _network(outer, say("side.outer"), "outer", words),
        _lock(now.sides, now.now, words),
        _network(inner, say("side.inner"), "inner", words),
    ]
    syncing = [side.below.syncing for side in now.sides if side.below.syncing is not None]
    bar = None
    if syncing:
        done, total = sum(one[0] for one in syncing), sum(one[1] or 0 for one in syncing)
        bar = Bar(say("status.syncing"), done, total)
    lines = [*status_link.troubles(now.sides, now.now, words), *_troubles(now.sides, words)]
    lines += [line for side in now.sides for kept in side.kept for line in _kept(kept, side, now.now, words)]
    lines += dict.fromkeys(line for rules in now.rules for line in _rules(rules, words))
    brief = say("status.troubles_count", count=len(lines), last=lines[-1]) if lines else ""
    return Page(
        title=say("status.title", up=span(now.now - now.started)),
        places=places,
        bar=bar,
        listing=Listing(
            headings=[
                say("status.stream"),
                say("status.viewers"),
                say("status.rate"),
                say("status.lost"),
                say("status.refused"),
            ],
            rows=[_stream(stream, now, before) for side in now.sides for stream in side.streams],
            more=lambda count: say("status.more", count=count),
        ),
        notes=[
            *status_link.lines(now.sides, words),
            *quotas.taken(now.sides, words),
            *status_peers.lines(now.sides, words),
            *(_turn(turn, words) for side in now.sides for turn in side.turns[:MAX_TURNS]),
        ],
        refusals=Refusals(say("status.troubles"), lines, brief),
    )


def _network(side: SideState | None, title: str, name: str, words: Words) -> Place:
    say = words.say
    if side is None:
        absent = say("status.elsewhere")
        return Place(title, [(absent, "")], f"{title}: {absent}", COLOURS[name])
    rows = [(say("status.address"), side.address)]
    if side.below.peers:
        rows.append((say("status.lowers"), f"{side.below.online:,}/{side.below.peers:,}"))
        rows.append((say("status.rows"), f"{side.below.rows:,}"))
    if side.uppers:
        registered = sum(upper.registered for upper in side.uppers)
        rows.append((say("status.uppers"), f"{registered}/{len(side.uppers)}"))
        rows.append((say("status.shared"), f"{max(upper.shared for upper in side.uppers):,}"))
    rows.append((say("status.streams"), f"{len(side.streams)}"))
    rows.append((say("status.viewings"), f"{side.viewings}"))
    return Place(title, rows, _brief(title, rows), COLOURS[name])


def _lock(sides: Sequence[SideState], now: float, words: Words) -> Place:
    say = words.say
    title = say("trace.lock")
    rows = [
        *status_link.rows(sides, now, words),
        (say("status.crossings"), f"{sum(side.crossings for side in sides):,}"),
        (say("status.crossings_refused"), f"{sum(sum(side.refused.values()) for side in sides):,}"),
        (say("status.rows_passed"), f"{max((side.rows_passed for side in sides), default=0):,}"),
        (
            say("status.rows_refused"),
            f"{max((sum(side.rows_refused.values()) for side in sides), default=0):,}",
        ),
    ]
    return Place(title, rows, _brief(title, rows), "magenta")


def _brief(title: str, rows: Sequence[tuple[str, str]]) -> str:
    return f"{title}: " + " · ".join(f"{label} {value}" for label, value in rows)


def _stream(stream: StreamState, now: Standing, before: Standing | None) -> list[str]:
    then = next(
        (one for side in before.sides for one in side.streams if one.stream == stream.stream)
        if before is not None
        else iter(()),
        None,
    )
    if before is not None and then is not None and now.now > before.now:
        rate = 8 * (stream.bytes - then.bytes) / (now.now - before.now)
    elif stream.since is not None and now.now > stream.since:
        rate = 8 * stream.bytes / (now.now - stream.since)
    else:
        rate = 0.0
    name = printable(stream.name or stream.channel.rpartition("/")[2])
    return [name, f"{stream.viewers}", f"{rate / 1e6:.2f}", f"{stream.lost}", f"{stream.refused}"]


def _turn(turn: TurnState, words: Words) -> str:
    camera = printable(turn.channel.rpartition("/")[2])
    if turn.moving:
        return words.say("status.turning", channel=camera, peer=turn.peer, level=turn.level)
    seconds = ceil(turn.seconds)
    return words.say("status.turned", channel=camera, peer=turn.peer, level=turn.level, seconds=seconds)


def _kept(kept: KeptState, side: SideState, now: float, words: Words) -> Iterator[str]:
    """What waits on this side's disk for somebody, and what it lost of that."""
    say = words.say
    addressee = kept.addressee or (say("side.inner") if side.side == "outer" else say("side.outer"))
    if kept.oldest is not None:
        age = span(max(0.0, now - kept.oldest))
        yield say("status.kept", addressee=addressee, count=kept.count, age=age)
    if kept.lost:
        yield say("status.kept_lost", addressee=addressee, count=kept.lost)


def _rules(rules: RulesState, words: Words) -> Iterator[str]:
    """What is odd about them, and what could not be taken since the start."""
    for name, said in ODD.items():
        if count := rules.odd.get(name, 0):
            yield words.say("status.odd_rules", what=said, count=count)
    for name, said in NOT_TAKEN.items():
        if count := rules.counts.get(name, 0):
            yield words.say("status.not_taken", what=said, count=count)


def _troubles(sides: Sequence[SideState], words: Words) -> list[str]:
    """What the admin may have to look at: who is not there, what was refused, doors that are shut."""
    say = words.say
    lines = []
    for side in sides:
        name = say("side.outer") if side.side == "outer" else say("side.inner")
        if side.shut:
            lines.append(say("status.shut", side=name))
        lines += status_peers.troubles(side, words)
        lines += [
            say("status.not_registered", peer=upper.peer, why=upper.problem or "-")
            for upper in side.uppers
            if not upper.registered
        ]
        for rule, count in sorted(side.refused.items()):
            lines.append(say("status.rule_refused", side=name, rule=rule, count=count))
        for rule, count in sorted(side.rows_refused.items()):
            lines.append(say("status.rule_rows", side=name, rule=rule, count=count))
        for limit, count in sorted(costly(side.sip).items()):
            what, remedy = LIMITS[limit]["what"], LIMITS[limit]["remedy"]
            lines.append(
                say("status.limit_met", side=name, limit=limit, count=count, what=what, remedy=remedy)
            )
    return lines
