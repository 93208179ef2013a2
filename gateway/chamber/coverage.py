"""Rules that can never decide, since one above them decides about all that they are about.

Every rule is looked up among those above it instead of being compared with each: a list may be long.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gateway.chamber.rules import ANY, Rule, When, class_of


class Covered(NamedTuple):
    """Numbers count from 1, as in the file."""

    number: int
    rule: Rule
    above: int
    by: Rule


def covered(rules: Sequence[Rule]) -> Iterator[Covered]:
    """Each rule that one above it leaves nothing to; of several above the first."""
    lists: dict[tuple[str, str], dict[tuple[str, When], _Selectors]] = defaultdict(dict)
    for number, rule in enumerate(rules, start=1):
        above = [
            found
            for peer in {rule.peer, ANY}
            for (action, when), selectors in lists[rule.direction, peer].items()
            if wider(action, rule.action)
            and (when.always or when == rule.when)
            and (found := selectors.covers(rule.channels))
        ]
        if above:
            first = min(above)
            yield Covered(number, rule, first, rules[first - 1])
        else:  # what covers others, but is covered itself, has one above it that covers them as well
            of_its_kind = lists[rule.direction, rule.peer]
            of_its_kind.setdefault((rule.action, rule.when), _Selectors()).add(number, rule.channels)


class _Selectors:
    """The selectors of rules that are about the same: each with the numbers of the rules that have it."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[int]] = defaultdict(list)

    def add(self, number: int, channels: Iterable[str]) -> None:
        for selector in dict.fromkeys(channels):
            self._numbers[selector].append(number)

    def covers(self, channels: Sequence[str]) -> int:
        """The first of the rules that selects all that these select; 0 if none does."""
        common: set[int] | None = None
        for narrow in channels:
            found = {number for wide in wider_selectors(narrow) for number in self._numbers.get(wide, ())}
            common = found if common is None else common & found
            if not common:
                return 0
        return min(common) if common else 0


def wider(pattern: str, other: str) -> bool:
    """Does `pattern` match every action that `other` matches?"""
    return pattern == other or (pattern.endswith(ANY) and other.startswith(pattern[:-1]))


def wider_selectors(narrow: str) -> Iterator[str]:
    """Every selector that selects whatever `narrow` selects, itself among them."""
    yield narrow
    if narrow != ANY:
        yield ANY
    kind, _, value = narrow.partition(":")
    if kind == "id":
        yield f"branch:{value}"
        yield f"class:{class_of(value)}"
    if kind in {"id", "prefix"}:
        last = len(value) if kind == "id" else len(value) - 1
        yield from (f"prefix:{value[:length]}" for length in range(1, last + 1))
