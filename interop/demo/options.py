"""What `make demo ARGS="…"` may say."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from interop.words import Words
from interop.words.choice import OPTION


class _Parser(argparse.ArgumentParser):
    """argparse with its own few words in the user's language."""

    def __init__(self, words: Words) -> None:
        super().__init__(
            prog="make demo", add_help=False, usage=words.say("demo.help.usage"), allow_abbrev=False
        )
        self._words = words

    def format_help(self) -> str:
        heading = self._words.say("usage.options")
        page = super().format_help().replace("usage: ", self._words.say("usage.usage"), 1)
        return page.replace(f"\n{heading}:\n", f"\n{self._words.say('usage.options_head')}\n", 1)

    def format_usage(self) -> str:
        return super().format_usage().replace("usage: ", self._words.say("usage.usage"), 1)

    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(2, self._words.say("usage.other", reason=message) + "\n")


def arguments(given: Sequence[str], words: Words) -> argparse.Namespace:
    """Read them; `--lang` has been taken off. Exits with 2 for what does not fit, with 0 after the help."""
    say = words.say
    parser = _Parser(words)
    options = parser.add_argument_group(say("usage.options"))
    options.add_argument("-h", "--help", action="help", help=say("usage.help"))
    options.add_argument(OPTION, metavar="LANG", help=say("usage.lang"))
    options.add_argument("--seconds", type=float, default=30.0, help=say("demo.help.seconds"))
    options.add_argument("--report", type=Path, help=say("demo.help.report"))
    options.add_argument("--no-tty", action="store_true", help=say("demo.help.no_tty"))
    options.add_argument("--out", type=Path, default=Path("demo-out"), help=say("demo.help.out"))
    options.add_argument("--record", action="store_true", help=say("demo.help.record"))
    options.add_argument("--cameras", type=int, default=200, help=say("demo.help.cameras"))
    options.add_argument("--plays", type=int, default=4, help=say("demo.help.plays"))
    options.add_argument("--two-hosts", action="store_true", help=say("demo.help.two_hosts"))
    options.add_argument("--break", dest="fault", help=argparse.SUPPRESS)  # for interop.demo.selftest
    return parser.parse_args(given)
