"""Passwords of a scene, sealed as `lockgate secret import` would."""

from collections.abc import Mapping
from pathlib import Path

from cascade.credential import Credential
from cascade.model.secret import Secret
from certs.identities import SideName
from gateway.config import ConfigError, examine
from gateway.credentials.holders import place_of
from gateway.credentials.lines import Line
from gateway.credentials.setting import Roll, apply
from gateway.credentials.store import Holder, replace


def seal(file: Path, passwords: Mapping[str, str], side: SideName | None = None) -> None:
    """Keep these, of peers that the configuration in `file` has, and no others. Raises ConfigError."""
    examined = examine(file, side, secrets=False)
    if examined.config is None:
        raise ConfigError(examined.problems)
    kept = dict[Holder, Credential]()
    lines = [Line(number, peer, Secret(word)) for number, (peer, word) in enumerate(passwords.items())]
    apply(lines, Roll(examined.config, side), kept, 0.0)
    replace(place_of(examined.config), kept)
