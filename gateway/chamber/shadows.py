"""Rules whose verdict a rule above them undoes in part, in a way that is hardly meant.

Rule lists overlap on purpose: an exception stands above what it is an exception from, and it is narrower in
all that it says. What is told here is no exception:

    dead     one selector of a rule never decides, since a rule above with the other verdict takes all of it
    undone   a refusal does not hold for what a permission above it takes, which is wider than the refusal in
             one thing (mostly its channels) and narrower in another (mostly its peer): whoever wrote
             "nobody sees the schools" below "this upper sees everything" has shown it the schools

A refusal above a permission is not told as undone: it is how somebody is shut out. Rules of which nothing is
left at all are `coverage.covered`. Selectors of different kinds (a branch and a prefix) may overlap by what
cameras there are; that cannot be seen in the list and is not told.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.chamber.coverage import covered, wider, wider_selectors
from gateway.chamber.rules import ANY, Rule, When

MAX_LOOKED: Final = 64
"""Rules above that are looked at for one selector: a list of any length takes bounded time."""


class Shadowed(NamedTuple):
    """Numbers count from 1, as in the file. `selector` is one of the lower rule's."""

    number: int
    rule: Rule
    selector: str
    above: int
    by: Rule
    dead: bool


def shadowed(rules: Sequence[Rule]) -> Iterator[Shadowed]:
    """Of each rule the first selector that is dead, else the first that is undone."""
    gone = {found.number for found in covered(rules)}
    seen = _Above()
    for number, rule in enumerate(rules, start=1):
        if number in gone:
            continue
        found = list(_of(number, rule, seen, rules))
        yield from sorted(found, key=lambda each: not each.dead)[:1]
        seen.add(number, rule)


def _of(number: int, rule: Rule, seen: "_Above", rules: Sequence[Rule]) -> Iterator[Shadowed]:
    for selector in rule.channels:
        for above in seen.around(rule, selector):
            by = rules[above - 1]
            if by.verdict == rule.verdict:
                continue
            dead = _all_but_channels(by, rule)
            if dead or (by.allow and not _is_exception(by, rule)):
                yield Shadowed(number, rule, selector, above, by, dead)
                break


class _Above:
    """The rules so far, by their selectors, and then by what else they say."""

    def __init__(self) -> None:
        self._by_selector: dict[tuple[str, str], dict[str, dict[str, list[tuple[When, int]]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )

    def add(self, number: int, rule: Rule) -> None:
        for selector in dict.fromkeys(rule.channels):
            self._by_selector[rule.direction, selector][rule.action][rule.peer].append((rule.when, number))

    def around(self, rule: Rule, selector: str) -> Iterator[int]:
        """Rules that select all that the selector does, and are about some of what the rule is about."""
        left = MAX_LOOKED
        for wide in wider_selectors(selector):
            actions = self._by_selector.get((rule.direction, wide), {})
            for action, peers in actions.items():
                if not (wider(action, rule.action) or wider(rule.action, action)):
                    continue
                for peer in peers if rule.peer == ANY else {rule.peer, ANY} & peers.keys():
                    for when, number in peers[peer]:
                        if when.always or rule.when.always or when == rule.when:
                            yield number
                        left -= 1
                        if not left:
                            return


def _all_but_channels(by: Rule, rule: Rule) -> bool:
    """Is it about every peer, action and time that the rule is about?"""
    return (
        by.peer in {ANY, rule.peer}
        and wider(by.action, rule.action)
        and (by.when.always or by.when == rule.when)
    )


def _is_exception(by: Rule, rule: Rule) -> bool:
    """Is it narrower than the rule, or the same, in all that it says?"""
    return (
        rule.peer in {ANY, by.peer}
        and wider(rule.action, by.action)
        and (rule.when.always or by.when == rule.when)
        and all(not {*wider_selectors(mine)}.isdisjoint(rule.channels) for mine in by.channels)
    )
