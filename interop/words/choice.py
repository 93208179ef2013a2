"""Which language a user reads: what `--lang` names, else what the locale says (as POSIX orders it)."""

import re
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import Final

from interop.words import LANGUAGES, Language, Words

OPTION: Final = "--lang"
VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


def language_named(tag: str) -> Language | None:
    """`zh`, `zh-CN` and `zh_CN.GB18030` are zh; None for a language that the catalogue lacks."""
    first = re.split(r"[-_.@]", tag, maxsplit=1)[0].lower()
    return next((language for language in LANGUAGES if language == first), None)


def of_locale(environment: Mapping[str, str]) -> Language:
    """English where the locale names nothing that we have."""
    given = next((value for name in VARIABLES if (value := environment.get(name))), "")
    return language_named(given) or "en"


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Words, list[str]]:
    """The user's words, and the arguments without `--lang`, which may stand anywhere before `--`.

    Exits with 2 and one sentence on standard error for a language that we lack.
    """
    words = Words(of_locale(environment))
    left: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return words, [*left, argument, *waiting]
        if argument == OPTION:
            words = _named(waiting.pop(0) if waiting else "", words)
        elif argument.startswith(f"{OPTION}="):
            words = _named(argument.partition("=")[2], words)
        else:
            left.append(argument)
    return words, left


def _named(tag: str, before: Words) -> Words:
    language = language_named(tag)
    if language is None:
        print(before.say("usage.language", name=tag, known=", ".join(LANGUAGES)), file=sys.stderr)
        sys.exit(2)
    return Words(language)


def show_anything() -> None:
    """Not every terminal can show every word: what it can't is written as an escape, without an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
