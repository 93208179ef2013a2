"""`lockgate check`: is the configuration usable, and what would it do?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway.config import Config, SideConfig, examine
from gateway.config_reading import Problem

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE")]
DEFAULT = Path("gateway.toml")


def check(config: ConfigFile = DEFAULT) -> None:
    """Say whether the configuration is usable; exit 2 when it is not."""
    examined = examine(config)
    tell(examined.warnings)
    if examined.config is None or examined.problems:
        tell(examined.problems)
        raise typer.Exit(2)
    typer.echo("ok")
    for line in summary(examined.config):
        typer.echo(line)


def tell(problems: Sequence[Problem]) -> None:
    """Each on standard error: file, key, what is wrong, what to write."""
    for problem in problems:
        typer.echo(str(problem), err=True)


def summary(config: Config) -> list[str]:
    allow = sum(rule.allow for rule in config.rule)
    return [
        _side("outer", config.outer),
        _side("inner", config.inner),
        f"rules: {allow} allow, {len(config.rule) - allow} deny; what no rule names is refused",
        f"state: {config.gateway.state}",
    ]


def _side(name: str, side: SideConfig) -> str:
    low, high = side.media_ports
    media = f"{side.media_address or side.address} ports {low} to {high}"
    return (
        f"{name}: {side.id} on {side.address}:{side.port}, media on {media}, "
        f"{len(side.lower)} below, {len(side.upper)} above"
    )
