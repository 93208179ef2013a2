"""The frame that typer puts around commands, its help pages and usage errors, in the user's words.

As in the gateway's command line: typer has its own words in English alone, so help pages are rewritten
line by line, and a usage error is told by its kind. A kind that is not known here keeps typer's sentence.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from interop.words import Saying, Words, saying

PROGRAM: Final = "lockgate-sim"


class Misuse(typer.TyperException):
    """The command line does not fit. The exit code is 2."""

    exit_code = 2

    def __init__(self, what: Saying) -> None:
        super().__init__(str(what))
        self.what = what


class Frame:
    """What typer is given to build the group and its commands in one language."""

    def __init__(self, words: Words) -> None:
        self.words: Final = words

    def group(self, text: str) -> dict[str, Any]:
        """Settings of the group of commands that `text` explains."""
        return {
            "cls": _group(self.words),
            "help": text,
            "no_args_is_help": True,
            "options_metavar": self.words.say("usage.options_hint"),
            "subcommand_metavar": self.words.say("usage.commands_hint"),
        }

    def command(self, text: str) -> dict[str, Any]:
        """Settings of a command that `text` explains."""
        return {
            "cls": _command(self.words),
            "help": text,
            "short_help": text,
            "options_metavar": self.words.say("usage.options_hint"),
        }


def _group(words: Words) -> type[TyperGroup]:
    class Group(TyperGroup):
        def get_help(self, ctx: Any) -> str:
            return in_words(super().get_help(ctx), words)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
                known = ", ".join(self.list_commands(ctx))
                raise Misuse(saying("usage.no_command", name=args[0], known=known))
            return super().resolve_command(ctx, args)

        def main(self, args: Sequence[str] | None = None, *more: Any, **settings: Any) -> NoReturn:
            """As typer's own, but that a usage error is told in our words."""
            try:
                code = super().main(args, *more, **{**settings, "standalone_mode": False})
            except typer.TyperException as error:
                tell_error(error, words)
                sys.exit(error.exit_code)
            sys.exit(code)

    return Group


def _command(words: Words) -> type[TyperCommand]:
    class Command(TyperCommand):
        def get_help(self, ctx: Any) -> str:
            return in_words(super().get_help(ctx), words)

    return Command


def in_words(page: str, words: Words) -> str:
    """A help page of typer with its own words replaced."""
    heads = {
        "Options:": words.say("usage.options_head"),
        "Commands:": words.say("usage.commands_head"),
    }
    lines = [heads.get(line, line) for line in page.splitlines()]
    lines[0] = lines[0].replace("Usage: ", words.say("usage.usage"), 1)
    shown = "\n".join(line.rstrip() for line in lines)
    for said, ours in (  # each may stand at the end of a line
        (r"\[default:", words.say("usage.default")),
        (r"\[env var:", words.say("usage.env")),
        (r"(?<=[\[ ])required\]", words.say("usage.required")),
        (r"Show this message and exit\.", words.say("usage.help")),
    ):
        shown = re.sub(said, ours, shown)
    return shown


def tell_error(error: typer.TyperException, words: Words) -> None:
    """On standard error, in one line; where no command was named, the help page."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
        return
    typer.echo(words.say("usage.line", what=kind_of_misuse(error), command=PROGRAM), err=True)


def kind_of_misuse(error: typer.TyperException) -> Saying:
    """What is wrong, by the kind of typer's error (its classes are private, their names are not)."""
    if isinstance(error, Misuse):
        return error.what
    given = vars(error)
    match type(error).__name__:
        case "NoSuchOption":
            return saying("usage.no_option", name=given["option_name"])
        case "BadOptionUsage" if "requires" in error.message:
            return saying("usage.no_value", name=given["option_name"])
        case "MissingParameter":
            return saying("usage.missing", name=given["param"].opts[0])
        case "BadParameter" if given.get("param") is not None:
            return saying("usage.bad_value", name=given["param"].opts[0], reason=error.message)
        case "UsageError" if extra := re.search(r"extra argument\S* \((.*)\)$", error.message):
            return saying("usage.extra", arguments=extra[1])
        case _:
            return saying("usage.unfit", reason=error.format_message())
