"""The frame that typer puts around commands, its help pages and usage errors, in the operator's words.

Typer has its own words in English alone. Help pages are rewritten line by line; a usage error is
told by its kind. A kind that is not known here keeps typer's sentence.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from gateway.words import Saying, Words, saying
from gateway.words.choice import OPTION

PROGRAM: Final = "lockgate"


class Misuse(typer.TyperException):
    """The command line does not fit. The exit code is 2."""

    exit_code = 2

    def __init__(self, what: Saying, ctx: Any = None) -> None:
        super().__init__(str(what))
        self.what = what
        self.ctx = ctx


class Frame:
    """What typer is given to build groups and commands in one language."""

    def __init__(self, words: Words) -> None:
        self.words: Final = words

    def group(self, text: str) -> dict[str, Any]:
        """Settings of a group of commands that `text` explains."""
        return {
            "cls": _group(self.words),
            "help": text,
            "short_help": text,
            "no_args_is_help": True,
            "options_metavar": self.words.say("help.options_hint"),
            "subcommand_metavar": self.words.say("help.commands_hint"),
        }

    def command(self, text: str) -> dict[str, Any]:
        """Settings of a command that `text` explains."""
        return {
            "cls": _command(self.words),
            "help": text,
            "short_help": text,
            "options_metavar": self.words.say("help.options_hint"),
        }


def _group(words: Words) -> type[TyperGroup]:
    class Group(TyperGroup):
        def get_help(self, ctx: Any) -> str:
            return in_words(super().get_help(ctx), words)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
                known = ", ".join(self.list_commands(ctx))
                raise Misuse(saying("usage.no_command", name=args[0], known=known), ctx)
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
        "Options:": words.say("help.options"),
        "Commands:": words.say("help.commands"),
        "Arguments:": words.say("help.arguments"),
    }
    lines = [heads.get(line, line) for line in page.splitlines()]
    lines[0] = lines[0].replace("Usage: ", words.say("help.usage"), 1)
    return "\n".join(
        line.replace("<path>", "      ")
        .replace("<str>", "     ")
        .replace("[required]", words.say("help.required"))
        .replace("Show this message and exit.", words.say("help.help"))
        .rstrip()
        for line in lines
    )


def tell_error(error: typer.TyperException, words: Words) -> None:
    """On standard error, in one line; where no command was named, the help page."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
        return
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx is not None else PROGRAM
    typer.echo(words.say("usage.line", what=kind_of_misuse(error), command=command), err=True)


def kind_of_misuse(error: typer.TyperException) -> Saying:
    """What is wrong, by the kind of typer's error (its classes are private, their names are not)."""
    if isinstance(error, Misuse):
        return error.what
    given = vars(error)
    match type(error).__name__:
        case "NoSuchOption" if given["possibilities"]:
            known = ", ".join(sorted(given["possibilities"]))
            return saying("usage.no_option_but", name=given["option_name"], known=known)
        case "NoSuchOption":
            return saying("usage.no_option", name=given["option_name"])
        case "BadOptionUsage" if "requires" in error.message:
            return saying("usage.no_value", name=given["option_name"])
        case "MissingParameter" if given["param"].param_type_name == "argument":
            return saying("usage.missing_argument", name=given["param"].display_name_raw)
        case "UsageError" if extra := re.search(r"extra argument\S* \((.*)\)$", error.message):
            return saying("usage.extra", arguments=extra[1])
        case _:
            return saying("usage.other", reason=error.format_message())


def unknown_language(name: str, words: Words, known: Sequence[str]) -> str:
    what = saying("usage.language", name=name, option=OPTION, known=", ".join(known))
    return words.say("usage.line", what=what, command=PROGRAM)
