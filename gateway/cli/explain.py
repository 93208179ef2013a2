"""`lockgate explain`: why something is as it is. A client of the running gateway (`gateway.local`)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from gateway.cli.check import DEFAULT, config_option
from gateway.cli.scaffold import Frame
from gateway.cli.status import state_of
from gateway.cli.trace import asked_for
from gateway.config import examine
from gateway.config_admit import rule_for
from gateway.local.client import Gateway, Unanswered, connected
from gateway.registrations.facts import OfId, OfSide
from gateway.registrations.page import document, page
from gateway.registrations.reasons import registered
from gateway.trace.facts import SideName
from gateway.words import Words, printable

Admitting = Callable[[SideName, str], str]


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words
    group = typer.Typer(**frame.group(words.say("help.explain")))
    app.add_typer(group, name="explain")

    @group.command("registration", **frame.command(words.say("help.explain_registration")))
    def command(
        peer: Annotated[str, typer.Argument(help=words.say("help.explain_peer"), metavar="PEER")],
        as_json: Annotated[bool, typer.Option("--json", help=words.say("help.json"))] = False,
        config: Annotated[Path, config_option(words)] = DEFAULT,
    ) -> None:
        try:
            with connected(state_of(config, words)) as gateways:
                well = explain(gateways, asked_for(peer), words, admitting(config), as_json=as_json)
        except Unanswered as error:
            typer.echo(words.render(error.said), err=True)
            raise typer.Exit(2) from error
        if not well:
            raise typer.Exit(1)


def admitting(file: Path) -> Admitting:
    """Which rule of a side admits an id, by the configuration."""
    config = examine(file).config

    def rule(side: SideName, name: str) -> str:
        found = None
        if config is not None:
            found = rule_for(config.outer if side == "outer" else config.inner, name)
        return "" if found is None else found.name

    return rule


def explain(
    gateways: Sequence[Gateway], peer: str, words: Words, admitting: Admitting, *, as_json: bool = False
) -> bool:
    """Print it. Is everybody registered of whom it tells?"""
    told: list[tuple[OfSide, OfId, float]] = []
    sides: list[OfSide] = []
    for gateway in gateways:
        answer = gateway.registrations(peer)
        sides += answer.sides
        told += [
            (side, replace(one, admit=admitting(side.side, one.id)), answer.now)
            for side in answer.sides
            for one in side.ids
        ]
    told = chosen(told)
    if as_json:
        found = [document(side, one, now, words) for side, one, now in told]
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not told:
        typer.echo(words.say("explain.no_address", address=peer))
    for number, (side, one, now) in enumerate(told if not as_json else ()):
        if number:
            typer.echo("")
        for line in page(side, one, now, words):
            typer.echo(line)
    if not as_json and not any(one.wanted or one.tries or one.above for _, one, _ in told):
        _tell_strangers(sides, words)
    return bool(told) and all(registered(one) for _, one, _ in told)


def chosen(told: list[tuple[OfSide, OfId, float]]) -> list[tuple[OfSide, OfId, float]]:
    """Sides that know something of an id; where none does, the first one says so."""
    known = [each for each in told if each[1].wanted or each[1].above or each[1].tries or each[1].near]
    return known or told[:1]


def _tell_strangers(sides: Sequence[OfSide], words: Words) -> None:
    """Who did try: an id that was meant may be among them."""
    found = dict.fromkeys(printable(name) for side in sides for name in side.strangers)
    if found:
        typer.echo("")
        typer.echo(words.say("explain.strangers", ids=", ".join(found)))
