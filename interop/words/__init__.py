"""Words of the demo and the simulators: one catalogue, a file for each language with the same keys.

As in gateway.words, a `Saying` is a key with named fields and no language, and the edge that shows it
renders it. The catalogue is one of its own because the simulators import nothing of the gateway
(import contract 7b). tests/interop/test_words.py finds a key, field or translation that is missing.
"""

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

Field: TypeAlias = "str | int | float | Saying"
"""What stands in a placeholder; a `Saying` is rendered in the language of the text around it."""


class Saying(Struct, frozen=True):
    """What is to be said, in no language yet. Make one with `saying`."""

    key: str
    fields: dict[str, "str | int | float | Saying"] = {}

    def __str__(self) -> str:
        """In English: for traces and for programs that know no language."""
        return ENGLISH.render(self)


def saying(key: str, /, **fields: Field) -> Saying:
    return Saying(key, fields)


class Words:
    """The catalogue in one language."""

    def __init__(self, language: Language) -> None:
        self.language: Final = language

    def say(self, key: str, /, **fields: Field) -> str:
        """The text of `key` with its placeholders filled in; a field cannot add a line."""
        shown = {name: self._shown(value) for name, value in fields.items()}
        return catalogue(self.language)[key].format_map(shown)

    def render(self, said: Saying | str) -> str:
        """A text that is in no catalogue (a name, a figure) stays as it is."""
        return said if isinstance(said, str) else self.say(said.key, **said.fields)

    def _shown(self, value: Field) -> str | int | float:
        if isinstance(value, Saying):
            return self.render(value)
        return printable(value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """Without anything that starts a line, moves a cursor or cannot be encoded, whoever wrote it."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


@lru_cache
def catalogue(language: Language) -> dict[str, str]:
    """Every text of a language by its dotted key."""
    text = files("interop.words").joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: dict[str, object], above: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, str(value)


ENGLISH: Final = Words("en")
