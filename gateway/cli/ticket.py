"""`lockgate policy grant`, `tickets` and `withdraw`: a person lets one peer do one thing with one channel."""

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.chamber.tickets import MAX_HOURS, Ticket, end_of
from gateway.cli.asking import Catalogs, asked_well, give_up, key_of
from gateway.cli.check import DEFAULT, config_option, side_named, side_option, usable
from gateway.cli.scaffold import Frame
from gateway.config import Config
from gateway.local.client import Unanswered, connected
from gateway.ticket_file import TicketsUnusable, grant, granted, withdraw
from gateway.words import Words, printable

HOURS: Final = 2.0
MAX_TEXT: Final = 128


def add(policy: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @policy.command("grant", **frame.command(words.say("help.policy_grant")))
    def command(
        peer: Annotated[str, _option("--peer", "ID", words.say("help.policy_peer"))],
        action: Annotated[str, _option("--action", "ACTION", words.say("help.policy_action"))],
        channel: Annotated[str, _option("--channel", "CHANNEL", words.say("help.policy_channel"))],
        by: Annotated[str, _option("--by", "NAME", words.say("help.policy_by"))],
        why: Annotated[str, _option("--reason", "TEXT", words.say("help.policy_reason"))],
        hours: Annotated[float, _hours(words)] = HOURS,
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        here = side_named(side)
        given(peer, action, channel, by, why, hours, usable(config, words, here), words)
        if here is not None:
            typer.echo(words.say("tickets.both"))

    @policy.command("tickets", **frame.command(words.say("help.policy_tickets")))
    def show(
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        listed(Path(usable(config, words, side_named(side)).gateway.state), words)

    @policy.command("withdraw", **frame.command(words.say("help.policy_withdraw")))
    def take_back(
        number: Annotated[int, typer.Argument(help=words.say("help.policy_number"), metavar="NUMBER")],
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        here = side_named(side)
        withdrawn(number, Path(usable(config, words, here).gateway.state), words)
        if here is not None:
            typer.echo(words.say("tickets.both_withdrawn"))


def _option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, help=text, metavar=metavar, show_default=False)


def _hours(words: Words) -> Any:
    text = words.say("help.policy_hours", hours=HOURS)
    return typer.Option("--hours", help=text, metavar="HOURS", min=1 / 60, max=MAX_HOURS, show_default=False)


def given(
    peer: str, action: str, channel: str, by: str, why: str, hours: float, config: Config, words: Words
) -> None:
    """Grant a ticket. Exits 2 where it names nothing that there is, or nobody who answers for it."""
    direction = asked_well(peer, action, config, words)
    catalogs = Catalogs(config, words)
    key = key_of(channel, config, catalogs, words)
    if key.peer not in catalogs.sides:
        give_up(words.say("policy.no_channel", channel=channel))
    by, why = by.strip(), why.strip()
    if not all(1 <= len(text) <= MAX_TEXT and text.isprintable() for text in (by, why)):
        give_up(words.say("tickets.nameless"))
    now = time.time()

    def made(number: int) -> Ticket:
        return Ticket(
            number=number,
            direction=direction,
            peer=peer,
            action=action,
            channel=str(key),
            since=now,
            until=end_of(now, hours),
            by=by,
            reason=why,
        )

    state = Path(config.gateway.state)
    try:
        ticket = grant(state, now, made)
    except TicketsUnusable as error:
        give_up(words.render(error.said))
    typer.echo(_line(ticket, words))
    _tell(state, words)


def listed(state: Path, words: Words) -> None:
    """Those that count now."""
    try:
        found = [ticket for ticket in granted(state) if ticket.counts(time.time())]
    except TicketsUnusable as error:
        give_up(words.render(error.said))
    for ticket in found:
        typer.echo(_line(ticket, words))
    if not found:
        typer.echo(words.say("tickets.none"))


def withdrawn(number: int, state: Path, words: Words) -> None:
    """Take one back. Exits 2 where there is none of this number."""
    try:
        found = withdraw(state, number)
    except TicketsUnusable as error:
        give_up(words.render(error.said))
    if found is None:
        give_up(words.say("tickets.unknown", number=number))
    typer.echo(words.say("tickets.withdrawn", ticket=found.id))
    _tell(state, words)


def _line(ticket: Ticket, words: Words) -> str:
    return words.say(
        "tickets.line",
        ticket=ticket.id,
        peer=ticket.peer,
        action=ticket.action,
        channel=ticket.channel,
        until=datetime.fromtimestamp(ticket.until).astimezone().strftime("%Y-%m-%d %H:%M %z"),
        by=printable(ticket.by),
        reason=printable(ticket.reason),
    )


def _tell(state: Path, words: Words) -> None:
    """Let the gateways that run there look. Exits 1 where one cannot."""
    try:
        with connected(state) as gateways:
            answers = [gateway.reload(words.language, "tickets") for gateway in gateways]
    except Unanswered:
        typer.echo(words.say("tickets.later"))
        return
    if not all(answer.taken for answer in answers):
        typer.echo(words.say("tickets.not_taken"), err=True)
        raise typer.Exit(1)
    typer.echo(words.say("tickets.taken"))
