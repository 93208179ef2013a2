"""`lockgate run`: the gateway, until it is stopped."""

from pathlib import Path
from typing import Annotated

import typer

from certs.identities import SideName
from gateway import log
from gateway.cli.check import DEFAULT, config_option, side_named, side_option, with_secrets
from gateway.cli.scaffold import Frame
from gateway.collecting import paused
from gateway.words import Told, Words, saying
from gateway.words.system import reason


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("run", **frame.command(words.say("help.run")))
    def command(
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        serve(config, words, side_named(side))


def serve(path: Path, words: Words, side: SideName | None = None) -> None:
    """Run the gateway, or one side of it. Exits with its code, or with 2 where it cannot start."""
    with paused():
        _serve(path, words, side)


def _serve(path: Path, words: Words, side: SideName | None) -> None:
    config, secrets = with_secrets(path, words, side)
    log.setup(config.log.level, config.log.form, words=words)
    from gateway import app  # the engine and its libraries: not for `check` and `init`

    try:
        code = app.run(path, config, secrets, side)
    except (Told, OSError) as error:
        why = error.said if isinstance(error, Told) else saying("run.system", reason=reason(error))
        typer.echo(words.say("run.unavailable", reason=why), err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)
