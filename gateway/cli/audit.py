"""`lockgate audit`: work on audit files."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.chamber.chain import verify
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
    ) -> None:
        verify_file(file, words)

    app.add_typer(audit, name="audit", **frame.group(words.say("help.audit")))


def verify_file(file: Path, words: Words) -> None:
    """Say whether the chain is whole. Exits 1 where it is not, 2 where it cannot be read."""
    try:
        report = verify(file)
    except OSError as error:
        typer.echo(words.say("audit.unreadable", file=str(file), reason=reason(error)), err=True)
        raise typer.Exit(2) from error
    if not report.whole:
        text = words.say("audit.broken", file=str(file), problem=report.problem, records=report.records)
        typer.echo(text, err=True)
        raise typer.Exit(1)
    typer.echo(words.say("audit.whole", file=str(file), records=report.records, hash=report.last_hash))
    if report.torn:
        typer.echo(words.say("audit.torn", count=report.torn))
