"""`lockgate run`: the gateway, until it is stopped."""

from pathlib import Path
from typing import Annotated

import typer

from gateway import log
from gateway.cli.check import DEFAULT, config_option, usable
from gateway.cli.scaffold import Frame
from gateway.words import Told, Words, saying
from gateway.words.system import reason


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("run", **frame.command(words.say("help.run")))
    def command(config: Annotated[Path, config_option(words)] = DEFAULT) -> None:
        serve(config, words)


def serve(path: Path, words: Words) -> None:
    """Run the gateway. Exits with its code, or with 2 where it cannot start."""
    config = usable(path, words)
    log.setup(config.log.level, config.log.form, words=words)
    from gateway import app  # the engine and its libraries: not for `check` and `init`

    try:
        code = app.run(config)
    except (Told, OSError) as error:
        why = error.said if isinstance(error, Told) else saying("run.system", reason=reason(error))
        typer.echo(words.say("run.unavailable", reason=why), err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)
