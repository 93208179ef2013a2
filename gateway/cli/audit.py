"""`lockgate audit`: work on audit files."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.chamber.chain import verify
from gateway.chamber.head import Anchor, beside
from gateway.cli.scaffold import Frame
from gateway.words import Words
from gateway.words.system import reason


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words
    audit = typer.Typer()

    @audit.callback()
    def root() -> None:
        """Keeps `verify` a command of its own while it is the only one."""

    @audit.command("verify", **frame.command(words.say("help.verify")))
    def command(
        file: Annotated[Path, typer.Argument(help=words.say("help.file"), metavar="FILE")],
        anchor: Annotated[
            str, typer.Option("--anchor", help=words.say("help.anchor"), metavar="HASH@NUMBER")
        ] = "",
    ) -> None:
        verify_file(file, words, anchor)

    app.add_typer(audit, name="audit", **frame.group(words.say("help.audit")))


def verify_file(file: Path, words: Words, anchor: str = "") -> None:
    """Say whether the chain is whole. Exits 1 where it is not, 2 where it or `anchor` cannot be read."""
    noted = Anchor.read(anchor)
    if anchor and noted is None:
        typer.echo(words.say("audit.bad_anchor", text=anchor), err=True)
        raise typer.Exit(2)
    try:
        report = verify(file, noted)
    except OSError as error:
        typer.echo(words.say("audit.unreadable", file=str(file), reason=reason(error)), err=True)
        raise typer.Exit(2) from error
    if report.problem is not None:
        text = words.say("audit.broken", file=str(file), problem=report.problem, records=report.records)
        typer.echo(text, err=True)
        raise typer.Exit(1)
    typer.echo(words.say("audit.whole", file=str(file), records=report.records, hash=report.last_hash))
    if report.torn:
        typer.echo(words.say("audit.torn", count=report.torn))
    if report.head is None and report.records:
        typer.echo(words.say("audit.no_head", head=str(beside(file))))
    if report.anchor is not None:
        typer.echo(words.say("audit.anchor", anchor=str(report.anchor)))
