"""Sentences of code that knows no catalogue, recognised by their English text where they are shown.

The packages below the gateway, the native parts and what crosses to the other side say in plain
English why something failed. The texts under `[sentence]` in en.toml are those sentences as they
stand in that code; tests/gateway/test_sentences.py compares the two, both ways. What a peer wrote
stands within such a sentence and stays as it is.
"""

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from typing import Final

from gateway.words import Saying, catalogue
from gateway.words.system import of_rust

SECTION: Final = "sentence."
WITHIN: Final = frozenset({"why", "more"})
"""Placeholders that hold a sentence themselves."""

KEY: Final = "key"
"""The placeholder that holds a key of a TOML file as Python writes it: a tuple of its parts."""

NUMBERS: Final = frozenset({"byte", "count", "limit", "number", "rest", "seconds", "status"})
WORDS: Final = frozenset({"command", "kind", "method", "name", "root"})
"""Placeholders that hold a number or one word, so that fewer texts of others look like ours."""

MAX_LEVELS: Final = 4
MAX_CHARACTERS: Final = 1000
"""A longer text is none of ours, and searching it would take long."""


def recognised(text: str, levels: int = MAX_LEVELS) -> Saying | str:
    """What `text` says, where it is a sentence of ours, or the system's; else the text itself.

    `levels`: how many sentences may stand within each other.
    """
    if not levels or len(text) > MAX_CHARACTERS:
        return text
    if key := _whole().get(text):
        return Saying(key)
    for key, pattern in _with_fields():
        if found := pattern.fullmatch(text):
            given = found.groupdict().items()
            said = Saying(key, tuple((name, _filled(name, value, levels)) for name, value in given))
            if _says_something(said):
                return said
    return of_rust(text) or text


def _filled(name: str, value: str, levels: int) -> Saying | str:
    if name == KEY:
        return _dotted(value)
    return recognised(value, levels - 1) if name in WITHIN else value


def _dotted(key: str) -> str:
    try:
        parts = ast.literal_eval(key)
    except (ValueError, SyntaxError):
        return key
    return ".".join(map(str, parts)) if isinstance(parts, tuple) else str(parts)


def _says_something(said: Saying) -> bool:
    """One that only joins others, such as "{name}: {why}", is ours where these are."""
    joins = not re.search(r"\w", _own(catalogue("en")[said.key]))
    return not joins or all(isinstance(value, Saying) for name, value in said.fields if name in WITHIN)


@cache
def _whole() -> dict[str, str]:
    """The sentences without placeholders, by their text."""
    return {text: key for key, text in _sentences() if "{" not in text}


@cache
def _with_fields() -> list[tuple[str, re.Pattern[str]]]:
    """Those with placeholders: first what ends in words of its own, then who says most itself."""
    found = [(key, text) for key, text in _sentences() if "{" in text]
    found.sort(key=lambda each: (not each[1].endswith("}"), len(_own(each[1]))), reverse=True)
    return [(key, _pattern(text)) for key, text in found]


def _own(text: str) -> str:
    return re.sub(r"\{\w+\}", "", text)


def _sentences() -> Iterator[tuple[str, str]]:
    return ((key, text) for key, text in catalogue("en").items() if key.startswith(SECTION))


def _pattern(text: str) -> re.Pattern[str]:
    parts = []
    for before, name, _, _ in string.Formatter().parse(text):
        parts.append(re.escape(before))
        if name is not None:
            parts.append(f"(?P<{name}>{_what_fits(name)})")
    return re.compile("".join(parts), re.DOTALL)


def _what_fits(name: str) -> str:
    if name in NUMBERS:
        return r"-?[0-9.,]+"
    return r"[\w./-]+" if name in WORDS else ".*"
