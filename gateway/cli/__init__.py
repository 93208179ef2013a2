"""The command line: one module a command. Answers go to standard output, troubles to standard error.

Exit codes: 0 all is well, 1 something checked is not as it should be, 2 it cannot be done as asked.
The language of the process is chosen here, before the commands are built, and handed down.
"""

import os
import sys
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from gateway.cli import audit, certs, check, explain, init, policy, reload, run, secret, status, trace
from gateway.cli.scaffold import Frame, unknown_language
from gateway.words import LANGUAGES, Words
from gateway.words.choice import OPTION, language_named, of_locale, take_option


def main() -> NoReturn:
    """`lockgate` with the arguments and the environment of this process."""
    for stream in (sys.stdout, sys.stderr):  # not every terminal can show every word
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    asked, arguments = take_option(sys.argv[1:])
    words = Words(of_locale(os.environ))
    if asked is not None:
        language = language_named(asked)
        if language is None:
            typer.echo(unknown_language(asked, words, LANGUAGES), err=True)
            sys.exit(2)
        words = Words(language)
    build(words)(arguments)
    raise AssertionError("a command line ends by exiting")


def build(words: Words) -> typer.Typer:
    """Every command, with its help in one language."""
    frame = Frame(words)
    app = typer.Typer(
        name="lockgate",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        **frame.group(words.say("help.program")),
    )

    @app.callback()
    def root(
        lang: Annotated[
            str | None, typer.Option(OPTION, metavar="LANG", help=words.say("help.lang"), show_default=False)
        ] = None,
        version: Annotated[
            bool, typer.Option("--version", help=words.say("help.version"), callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        """`--lang` is here for the help page; `main` has taken it off the arguments."""

    run.add(app, frame)
    check.add(app, frame)
    init.add(app, frame)
    audit.add(app, frame)
    certs.add(app, frame)
    policy.add(app, frame)
    trace.add(app, frame)
    status.add(app, frame)
    explain.add(app, frame)
    reload.add(app, frame)
    secret.add(app, frame)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lockgate {metadata.version('lockgate')}")
        raise typer.Exit
