"""What was found, as a table for people and as JSON for programs."""

import json
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from interop.attacks.suite import Found
from interop.words import Saying, Words, saying

WIDTH = 120
"""Of the table where nobody's terminal says how wide it is."""


def as_table(found: Iterable[Found], words: Words) -> Table:
    titles = (
        words.say("attack.column.what"),
        words.say("attack.column.sent"),
        words.say("attack.column.good"),
        words.say("attack.column.answered"),
        words.say("attack.column.passed"),
    )
    table = Table(show_lines=True)
    for title in titles:
        table.add_column(title, overflow="fold")
    for one in found:
        attack = one.attack
        said = (attack.what, attack.sent, attack.good, one.outcome.answered, verdict(one))
        table.add_row(*map(words.render, said))
    return table


def show(found: Iterable[Found], words: Words) -> None:
    terminal = Console(markup=False, highlight=False, emoji=False)
    (terminal if terminal.is_terminal else Console(width=WIDTH, markup=False, highlight=False)).print(
        as_table(found, words)
    )


def as_json(one: Found) -> str:
    """One line. `answered` in English, whatever the user reads."""
    outcome = one.outcome
    return json.dumps({"attack": one.attack.key, "answered": str(outcome.answered), "passed": outcome.passed})


def verdict(one: Found) -> Saying:
    if one.outcome.passed is None:
        return saying("attack.not_tried")
    return saying("attack.passed") if one.outcome.passed else saying("attack.failed")
