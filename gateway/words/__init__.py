"""Operators' words: one catalogue, a file for each language with the same keys (`en.toml`, `zh.toml`).

Deciding code makes a `Saying`, a key with named fields and no language; the edge that shows it holds
the `Words` of one language and renders it there. So a problem is the same value whoever reads it, and
tests/gateway/test_words.py finds a key, a field or a translation that is missing without running
anything: keys are written out where they are used.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

Field: TypeAlias = "str | int | float | Saying"
"""What stands in a placeholder; a `Saying` is rendered in the language of the text around it."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What is to be said, in no language yet. Make one with `saying`."""

    key: str
    fields: tuple[tuple[str, Field], ...] = ()

    def __str__(self) -> str:
        """In English: for traces and for programs that know no language."""
        return ENGLISH.render(self)


def saying(key: str, /, **fields: Field) -> Saying:
    return Saying(key, tuple(fields.items()))


class Told(Exception):
    """An error that an operator reads: it carries what is said of it, and its text is that in English."""

    def __init__(self, said: Saying) -> None:
        super().__init__(said)
        self.said: Final = said


class Words:
    """The catalogue in one language."""

    def __init__(self, language: Language) -> None:
        self.language: Final = language

    def say(self, key: str, /, **fields: Field) -> str:
        """The text of `key` with its placeholders filled in; a field cannot add a line."""
        shown = {name: self._shown(value) for name, value in fields.items()}
        return catalogue(self.language)[key].format_map(shown)

    def render(self, said: Saying) -> str:
        return self.say(said.key, **dict(said.fields))

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
    text = files("gateway.words").joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: dict[str, object], above: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, str(value)


ENGLISH: Final = Words("en")
