"""`lockgate audit`: work on audit files."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.chamber.chain import verify as verify_chain

app = typer.Typer(help="Work on audit files.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command()
def verify(file: Annotated[Path, typer.Argument(help="An audit file.", metavar="FILE")]) -> None:
    """Check the chain of an audit file: exit 0 whole, 1 broken, 2 unreadable."""
    try:
        report = verify_chain(file)
    except OSError as error:
        typer.echo(f"{file} cannot be read: {error.strerror}. Name an audit file.", err=True)
        raise typer.Exit(2) from error
    if not report.whole:
        typer.echo(
            f"{file}: the chain is broken. {report.problem} "
            f"The {report.records} records before it are whole. "
            "Keep the file for examination and compare it with a copy.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{file}: {report.records} records, the chain is whole. Last hash {report.last_hash}.")
    if report.torn:
        typer.echo(f"{report.torn} torn by a crash or a full disk, each closed by a marker.")
