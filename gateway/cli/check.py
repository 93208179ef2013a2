"""`lockgate check`: is the configuration usable, and what would it do?"""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.scaffold import Frame
from gateway.config import Config, SideConfig, examine
from gateway.config_reading import Problem
from gateway.words import Saying, Words, saying

DEFAULT = Path("gateway.toml")


def config_option(words: Words) -> Any:
    text = words.say("help.config", default=str(DEFAULT))
    return typer.Option("--config", "-c", help=text, metavar="FILE", show_default=False)


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("check", **frame.command(words.say("help.check")))
    def command(config: Annotated[Path, config_option(words)] = DEFAULT) -> None:
        found = usable(config, words)
        tell(foreign_addresses(found, config, is_ours), words)
        typer.echo(words.say("check.usable"))
        for line in summary(found, words):
            typer.echo(line)


def usable(path: Path, words: Words) -> Config:
    """The configuration, all that is odd in it told. Exits 2 where it is wrong, all of that told."""
    examined = examine(path)
    tell(examined.warnings, words)
    if examined.config is None or examined.problems:
        tell(examined.problems, words)
        raise typer.Exit(2)
    return examined.config


def tell(problems: Sequence[Problem], words: Words) -> None:
    """Each on standard error: file, key, what is wrong, what to write."""
    for problem in problems:
        typer.echo(problem.said(words), err=True)


def is_ours(address: str) -> bool:
    """Has this machine the address? A socket takes it then, at whatever port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True


def foreign_addresses(config: Config, path: Path, ours: Callable[[str], bool]) -> list[Problem]:
    """Addresses that `run` could not take here: odd and not wrong, it may be meant for another machine."""
    return [
        Problem(str(path), f"{name}.{key}", saying("config.foreign_address", address=address), True)
        for name, side in (("outer", config.outer), ("inner", config.inner))
        for key, address in (("address", side.address), ("media_address", side.media_address))
        if address and not ours(address)
    ]


def summary(config: Config, words: Words) -> Iterator[str]:
    yield _side(saying("side.outer"), config.outer, words)
    yield _side(saying("side.inner"), config.inner, words)
    allow = sum(rule.allow for rule in config.rule)
    yield words.say("check.rules", allow=allow, deny=len(config.rule) - allow)
    yield words.say("check.state", folder=config.gateway.state)


def _side(name: Saying, side: SideConfig, words: Words) -> str:
    return words.say(
        "check.side",
        side=name,
        id=side.id,
        address=side.address,
        port=side.port,
        media=side.media_address or side.address,
        low=side.media_ports[0],
        high=side.media_ports[1],
        lower=len(side.lower),
        upper=len(side.upper),
    )
