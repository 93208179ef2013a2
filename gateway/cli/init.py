"""`lockgate init`: a commented example of two networks, ready for `check`."""

import os
import secrets
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

CONFIG = "gateway.toml"
SECRETS = "secrets.toml"


def init(
    folder: Annotated[
        Path, typer.Argument(help="Where to write; made when it is not there.", metavar="DIR")
    ] = Path(),
) -> None:
    """Write gateway.toml and secrets.toml as an example; nothing is overwritten."""
    present = [name for name in (CONFIG, SECRETS) if (folder / name).exists()]
    if present:
        typer.echo(
            f"{folder / present[0]} is already there and stays as it is. "
            "Name another folder, or move it away.",
            err=True,
        )
        raise typer.Exit(2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / CONFIG, _template(CONFIG), 0o644)
        _write(folder / SECRETS, _with_passwords(_template(SECRETS)), 0o600)
    except OSError as error:
        typer.echo(f"{error.filename} cannot be written: {error.strerror}. Name another folder.", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"Wrote {folder / CONFIG} and {folder / SECRETS}.")
    typer.echo(f"Put in your ids, addresses and passwords, then: lockgate check --config {folder / CONFIG}")


def _template(name: str) -> str:
    return files("gateway.cli").joinpath("templates", name).read_text(encoding="utf-8")


def _with_passwords(text: str) -> str:
    """A password of its own for each peer, so that no example password is ever in use."""
    while "@PASSWORD@" in text:
        text = text.replace("@PASSWORD@", secrets.token_urlsafe(12), 1)
    return text


def _write(path: Path, text: str, mode: int) -> None:
    """Raises FileExistsError rather than overwrite."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
