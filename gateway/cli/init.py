"""`lockgate init`: a commented example of two networks, ready for `check`."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.scaffold import Frame
from gateway.words import Language, Words
from gateway.words.system import reason

CONFIG = "gateway.toml"


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("init", **frame.command(words.say("help.init")))
    def command(
        folder: Annotated[
            Path, typer.Argument(help=words.say("help.folder"), metavar="DIR", show_default=False)
        ] = Path(),
    ) -> None:
        write_example(folder, words)


def write_example(folder: Path, words: Words) -> None:
    """The file, with comments in the operator's language. Exits 2 where it cannot, or one is there."""
    file = folder / CONFIG
    if file.exists():
        typer.echo(words.say("init.present", file=str(file)), err=True)
        raise typer.Exit(2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(file, _template(CONFIG, words.language), 0o644)
    except OSError as error:
        text = words.say("init.unwritable", file=str(error.filename or folder), reason=reason(error))
        typer.echo(text, err=True)
        raise typer.Exit(2) from error
    typer.echo(words.say("init.wrote", config=str(file)))
    typer.echo(words.say("init.next", config=str(file)))


def _template(name: str, language: Language) -> str:
    return files("gateway.cli").joinpath("templates", language, name).read_text(encoding="utf-8")


def _write(path: Path, text: str, mode: int) -> None:
    """Raises FileExistsError rather than overwrite."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
