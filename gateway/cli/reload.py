"""`lockgate reload`: let the running gateway take its configuration as it is now."""

from pathlib import Path
from typing import Annotated

import typer

from certs.identities import SideName
from gateway.cli.check import DEFAULT, config_option, side_named, side_option, tell
from gateway.cli.scaffold import Frame
from gateway.config import examine
from gateway.local.client import Unanswered, connected
from gateway.words import Words


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("reload", **frame.command(words.say("help.reload")))
    def command(
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        reload(config, words, side_named(side))


def reload(file: Path, words: Words, side: SideName | None = None) -> None:
    """Exits 1 where a gateway goes on with what it had, 2 where none could be asked."""
    examined = examine(file, side)
    if examined.config is None:  # nor does it say which gateway is meant
        tell(examined.problems, words)
        typer.echo(words.say("reload.refused"), err=True)
        raise typer.Exit(1)
    try:
        with connected(Path(examined.config.gateway.state)) as gateways:
            answers = [gateway.reload(words.language) for gateway in gateways]
    except Unanswered as error:
        typer.echo(words.render(error.said), err=True)
        raise typer.Exit(2) from error
    for answer in answers:
        for line in answer.lines:
            typer.echo(line, err=not answer.taken)
    raise typer.Exit(0 if all(answer.taken for answer in answers) else 1)
