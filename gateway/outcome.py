"""What came of one attempt to take another configuration, for a person."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gateway.config_changes import Changes, told
from gateway.config_reading import Problem
from gateway.words import Words

MAX_NAMED: Final = 40
"""Names that one audit record or answer has."""


class Outcome(Struct, frozen=True):
    """`changes` is None where the file was not taken."""

    problems: tuple[Problem, ...]
    changes: Changes | None
    ended: int  # streams that the new rules do not allow
    warnings: tuple[Problem, ...] = ()

    @property
    def taken(self) -> bool:
        return self.changes is not None

    @property
    def later(self) -> tuple[str, ...]:
        """Keys that differ and count from the next start on."""
        return () if self.changes is None else self.changes.later


def lines(outcome: Outcome, words: Words) -> list[str]:
    """All of it."""
    changes = outcome.changes
    if changes is None:
        return [*(problem.said(words) for problem in outcome.problems), words.say("reload.refused")]
    rules = changes.rules
    if rules.any:
        said = [
            words.say(
                "reload.taken",
                added=len(rules.added),
                removed=len(rules.removed),
                changed=len(rules.changed),
                moved=len(rules.moved),
            )
        ]
    else:
        said = [words.say("reload.same")]
    said += besides_rules(changes, words)
    if outcome.ended:
        said.append(words.say("reload.ended", count=outcome.ended))
    return said + [problem.said(words) for problem in outcome.warnings[:MAX_NAMED]]


def besides_rules(changes: Changes, words: Words) -> Iterator[str]:
    """Of peers, passwords, certificates and limits, and what waits for a start."""
    yield from told(changes, words, some)
    if changes.later:
        yield words.say("policy.at_next_start", keys=some(changes.later))


def some(names: Sequence[str], most: int = MAX_NAMED) -> str:
    """The first of these, in one text."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
