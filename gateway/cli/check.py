"""`lockgate check`: is the configuration usable, and what would it do?"""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from certs.identities import SideName
from certs.trust import read_trust
from gateway.cli.asking import Catalogs
from gateway.cli.scaffold import Frame, Misuse
from gateway.config import Config, LinkConfig, SideConfig, examine
from gateway.config_reading import Problem
from gateway.credentials.holders import Secrets
from gateway.words import Saying, Words, saying
from sip.uri import host_port

DEFAULT = Path("gateway.toml")
SIDES: Final[dict[str, SideName]] = {"outer": "outer", "inner": "inner"}


def config_option(words: Words) -> Any:
    text = words.say("help.config", default=str(DEFAULT))
    return typer.Option("--config", "-c", help=text, metavar="FILE", show_default=False)


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("check", **frame.command(words.say("help.check")))
    def command(
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        here = side_named(side)
        found = usable(config, words, here)
        tell(foreign_addresses(found, config, is_ours, here), words)
        tell(Catalogs(found, words).idle(found, config), words)
        typer.echo(words.say("check.usable"))
        for line in summary(found, words, here):
            typer.echo(line)


def side_option(words: Words) -> Any:
    return typer.Option("--side", help=words.say("help.side"), metavar="SIDE", show_default=False)


def side_named(text: str | None) -> SideName | None:
    """Raises Misuse: no such side."""
    if text is None:
        return None
    if text not in SIDES:
        raise Misuse(saying("usage.no_side", name=text))
    return SIDES[text]


def usable(path: Path, words: Words, side: SideName | None = None) -> Config:
    """The configuration, all that is odd in it told. Exits 2 where it is wrong, all of that told."""
    return with_secrets(path, words, side)[0]


def with_secrets(path: Path, words: Words, side: SideName | None = None) -> tuple[Config, Secrets]:
    """The same with its secrets, both as they were at one reading."""
    examined = examine(path, side)
    tell(examined.warnings, words)
    if examined.config is None or examined.problems:
        tell(examined.problems, words)
        raise typer.Exit(2)
    return examined.config, examined.secrets


def tell(problems: Sequence[Problem], words: Words) -> None:
    """Each on standard error: file, key, what is wrong, what to write."""
    for problem in problems:
        typer.echo(problem.said(words), err=True)


def is_ours(address: str) -> bool:
    """Has this machine the address? A socket takes it then, at whatever port is free."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True


def foreign_addresses(
    config: Config, path: Path, ours: Callable[[str], bool], here: SideName | None = None
) -> list[Problem]:
    """Addresses that `run` could not take here: odd and not wrong, it may be meant for another machine."""
    needed = [
        (f"{name}.{key}", address)
        for name, side in (("outer", config.outer), ("inner", config.inner))
        for key, address in (
            ("address", side.address),
            ("media_address", side.media_address),
            *((f"listen[#{number}].address", more.address) for number, more in enumerate(side.listen, 1)),
        )
        if here in {None, name}
    ]
    if here is not None:
        needed.append((f"link.{here}", config.link.outer if here == "outer" else config.link.inner))
    return [
        Problem(str(path), key, saying("config.foreign_address", address=address), True)
        for key, address in needed
        if address and not ours(address)
    ]


def summary(config: Config, words: Words, here: SideName | None = None) -> Iterator[str]:
    if here != "inner":
        yield from _side(saying("side.outer"), config.outer, words)
    if here != "outer":
        yield from _side(saying("side.inner"), config.inner, words)
    if here is not None:
        yield _link(config.link, here, words)
    allow = sum(rule.allow for rule in config.rule)
    yield words.say("check.rules", allow=allow, deny=len(config.rule) - allow)
    yield words.say("check.state", folder=config.gateway.state)


def _link(link: LinkConfig, here: SideName, words: Words) -> str:
    own, other = (link.outer, link.inner) if here == "outer" else (link.inner, link.outer)
    until = read_trust(Path(link.certs), here).own.until
    dials = {"outer": saying("side.outer"), "inner": saying("side.inner"), "both": saying("check.both")}
    return words.say(
        "check.link",
        own=own,
        other=other,
        port=link.port,
        dials=dials[link.dials],
        until=until.strftime("%Y-%m-%d"),
    )


def _side(name: Saying, side: SideConfig, words: Words) -> Iterator[str]:
    yield words.say(
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
    if more := side.listeners():
        told = (f"{transport} {host_port(host, port)}" for transport, host, port in more)
        yield words.say("check.listens", side=name, addresses=", ".join(told))
