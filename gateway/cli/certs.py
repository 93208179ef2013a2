"""`lockgate certs`: the authority of the link between two hosts, and the certificates of its ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from certs import shelf
from certs.ca import NotOurs, at
from certs.identities import Identity
from certs.shelf import Entry, State
from gateway.cli.scaffold import Frame
from gateway.words import Saying, Words, saying
from gateway.words.sentences import recognised
from gateway.words.system import reason

DEFAULT: Final = Path("certs")
AUTHORITY_DAYS: Final = 3653
SIDE_DAYS: Final = 397

STATES: Final[dict[State, Saying]] = {
    "good": saying("certs.good"),
    "early": saying("certs.early"),
    "expired": saying("certs.expired"),
    "revoked": saying("certs.revoked"),
}


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words
    certs = typer.Typer()

    @certs.command("init", **frame.command(words.say("help.certs_init")))
    def init(
        folder: Annotated[Path, _folder(words)] = DEFAULT,
        days: Annotated[int, _days(words, AUTHORITY_DAYS)] = AUTHORITY_DAYS,
    ) -> None:
        begin(folder, words, days)

    @certs.command("issue", **frame.command(words.say("help.certs_issue")))
    def issue(
        side: Annotated[str, typer.Argument(help=words.say("help.certs_side"), metavar="SIDE")],
        number: Annotated[str, typer.Argument(help=words.say("help.certs_id"), metavar="ID")],
        folder: Annotated[Path, _folder(words)] = DEFAULT,
        days: Annotated[int, _days(words, SIDE_DAYS)] = SIDE_DAYS,
    ) -> None:
        certify(side, number, folder, words, days)

    @certs.command("list", **frame.command(words.say("help.certs_list")))
    def show(folder: Annotated[Path, _folder(words)] = DEFAULT) -> None:
        table(folder, words)

    @certs.command("revoke", **frame.command(words.say("help.certs_revoke")))
    def revoke(
        number: Annotated[str, typer.Argument(help=words.say("help.certs_number"), metavar="NUMBER")],
        folder: Annotated[Path, _folder(words)] = DEFAULT,
    ) -> None:
        take_back(number, folder, words)

    app.add_typer(certs, name="certs", **frame.group(words.say("help.certs")))


def _folder(words: Words) -> Any:
    text = words.say("help.certs_folder", default=str(DEFAULT))
    return typer.Option("--folder", help=text, metavar="DIR", show_default=False)


def _days(words: Words, default: int) -> Any:
    text = words.say("help.certs_days", days=default)
    return typer.Option("--days", help=text, metavar="DAYS", min=1, max=36_500, show_default=False)


def begin(folder: Path, words: Words, days: int) -> None:
    """A new authority. Exits 2 where there is one, or it cannot be written."""
    with _troubles(folder, words):
        shelf.found(folder, _now(), days=days)
        until = shelf.opened(folder).until
    typer.echo(words.say("certs.begun", folder=str(folder), until=_day(until)))
    typer.echo(words.say("certs.next", folder=str(folder)))


def certify(side: str, number: str, folder: Path, words: Words, days: int) -> None:
    """A certificate for one side. Exits 2 where there is no authority, or no such side."""
    identity = Identity.of_uri(f"lockgate:{side}/{number}")
    if identity is None:
        typer.echo(words.say("certs.no_identity", side=side, id=number), err=True)
        raise typer.Exit(2)
    with _troubles(folder, words):
        issued = shelf.certify(folder, shelf.opened(folder), identity, _now(), days=days)
    typer.echo(
        words.say(
            "certs.issued",
            side=side,
            id=number,
            number=shelf.number(issued.certificate.serial_number),
            until=_day(issued.certificate.not_valid_after_utc),
        )
    )
    typer.echo(
        words.say(
            "certs.copy",
            side=side,
            authority=str(folder / shelf.AUTHORITY),
            revoked=str(folder / shelf.REVOKED),
            certificate=str(folder / shelf.certificate_of(identity.side)),
            key=str(folder / shelf.key_of(identity.side)),
        )
    )


def table(folder: Path, words: Words) -> None:
    """One line a certificate that was issued, the oldest first."""
    with _troubles(folder, words):
        entries = list(shelf.entries(folder, _now()))
    for entry in entries:
        typer.echo(_line(entry, words))
    if not entries:
        typer.echo(words.say("certs.none"))


def take_back(number: str, folder: Path, words: Words) -> None:
    """Revoke the certificate of that number, or of the only one that begins so. Exits 2 where none does."""
    with _troubles(folder, words):
        authority = shelf.opened(folder)
        found = [entry for entry in shelf.entries(folder, _now()) if entry.number.startswith(number.lower())]
        if len(found) != 1:
            typer.echo(words.say("certs.unknown_number", number=number, count=len(found)), err=True)
            raise typer.Exit(2)
        shelf.revoke(folder, authority, found[0].serial, _now())
    identity = found[0].identity
    typer.echo(words.say("certs.taken_back", number=found[0].number, side=identity.side, id=identity.id))
    typer.echo(words.say("certs.tell_hosts", revoked=str(folder / shelf.REVOKED)))


def _line(entry: Entry, words: Words) -> str:
    return words.say(
        "certs.line",
        number=entry.number,
        side=entry.identity.side,
        id=entry.identity.id,
        since=_day(entry.since),
        until=_day(entry.until),
        state=STATES[entry.state],
    )


@contextmanager
def _troubles(folder: Path, words: Words) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        typer.echo(words.say("certs.present", file=str(error.filename)), err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        text = words.say("certs.unusable", file=str(error.filename or folder), reason=reason(error))
        typer.echo(text, err=True)
        raise typer.Exit(2) from error
    except NotOurs as error:
        typer.echo(words.say("certs.damaged", folder=str(folder), reason=recognised(str(error))), err=True)
        raise typer.Exit(2) from error


def _now() -> datetime:
    return at(time.time())


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
