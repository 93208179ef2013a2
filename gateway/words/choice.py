"""Which language an operator reads: what was asked for, or what the locale says."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.words import LANGUAGES, Language

OPTION: Final = "--lang"
VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Of the locale; the first that is set counts, as POSIX has it."""


def language_named(tag: str) -> Language | None:
    """`zh`, `zh-CN` and `zh_CN.GB18030` are zh; None for a language that the catalogue lacks."""
    first = re.split(r"[-_.@]", tag, maxsplit=1)[0].lower()
    return next((language for language in LANGUAGES if language == first), None)


def of_locale(environment: Mapping[str, str]) -> Language:
    """English where the locale names nothing that we have."""
    given = next((value for name in VARIABLES if (value := environment.get(name))), "")
    return language_named(given) or "en"


def take_option(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of the last `--lang` ("" where it has none), and the arguments without it.

    It may stand anywhere before `--`.
    """
    asked = None
    left: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return asked, [*left, argument, *waiting]
        if argument == OPTION:
            asked = waiting.pop(0) if waiting else ""
        elif argument.startswith(f"{OPTION}="):
            asked = argument.partition("=")[2]
        else:
            left.append(argument)
    return asked, left
