"""What is odd about rules, counted: those that can never decide, and selectors of which nothing is there."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gateway.chamber.rules import Rule
from gateway.config_reading import Problem
from gateway.store.sqlite.reading import idle

COUNTERS: Final = {
    "config.rule_covered": "rule_covered",
    "config.rule_dead": "rule_dead",
    "config.rule_undone": "rule_undone",
}
"""By the sentence that a check says of each."""
IDLE: Final = "selector_idle"
ODDITIES: Final = (*COUNTERS.values(), IDLE)


def counted(warnings: Iterable[Problem]) -> Counter[str]:
    """How many rules are odd, by how."""
    return Counter(COUNTERS[problem.what.key] for problem in warnings if problem.what.key in COUNTERS)


def idle_selectors(state: Path, peers: Sequence[str], rules: Sequence[Rule]) -> set[str]:
    """Those of the selectors that select none of these peers' rows, as the stores keep them.

    None where nothing is kept yet. Raises sqlite3.Error: a store cannot be read.
    """
    selectors = {selector for rule in rules for selector in rule.channels}
    found: set[str] | None = None
    for side in ("outer", "inner"):
        there = idle(state / side, peers, selectors) if peers else None
        if there is not None:
            found = there if found is None else found & there
    return found or set()
