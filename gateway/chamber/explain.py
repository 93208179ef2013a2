"""Why the rules decide as they do: the list read once more, rule by rule, for a person.

`policy` judges by compiled tables; here each rule is asked by itself. Both say the same of whatever
rules and names (tests/gateway/test_rules_explained.py), so either is a proof of the other.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from gateway.chamber.policy import DEFAULT, NOWHERE, Place, Question
from gateway.chamber.rules import ANY, Rule, class_of, matches

Miss = Literal["direction", "peer", "action", "channels", "when"]
"""What a rule says that does not fit: the first of these."""


class Step(Struct, frozen=True):
    """A rule above the one that decides, and why it does not."""

    number: int  # from 1, as in the file
    rule: Rule
    miss: Miss


class Explanation(Struct, frozen=True):
    """`rule` is None where none fits, which refuses; `above` are all that were asked before it."""

    rule: Rule | None
    number: int  # 0 where none fits
    above: tuple[Step, ...]

    @property
    def allowed(self) -> bool:
        return self.rule is not None and self.rule.allow

    @property
    def by(self) -> str:
        return DEFAULT if self.rule is None else self.rule.id


def explain(
    rules: Iterable[Rule], question: Question, name: str = "", place: Place = NOWHERE, *, wall: float
) -> Explanation:
    """Which rule decides about `name`, "" where nothing is named, and why each one above it does not.

    `place` is where what is named stands and whose it is; `wall` the time at which it is asked, in seconds
    since 1970. What a quota would say is not asked: it depends on what is under way.
    """
    above: list[Step] = []
    for number, rule in enumerate(rules, start=1):
        miss = missed(rule, question, name, place, wall)
        if miss is None:
            return Explanation(rule, number, tuple(above))
        above.append(Step(number, rule, miss))
    return Explanation(None, 0, tuple(above))


def missed(rule: Rule, question: Question, name: str, place: Place, wall: float) -> Miss | None:
    """The first part of `rule` that does not fit, None where all of it does."""
    if rule.direction != question.direction:
        return "direction"
    if rule.peer not in {ANY, question.peer}:
        return "peer"
    if not matches(rule.action, question.action):
        return "action"
    if not fits(rule.channels, name, place):
        return "channels"
    return None if rule.when.holds(wall // 60 * 60) else "when"


def fits(selectors: Sequence[str], name: str, place: Place) -> bool:
    """Does any of these select what is called `name` and has this place?"""
    return any(_fits(selector, name, *place) for selector in selectors)


def _fits(selector: str, name: str, branch: str, owner: str) -> bool:
    if selector == ANY:
        return True
    kind, _, value = selector.partition(":")
    match kind:
        case "id":
            return name == value
        case "prefix":
            return name.startswith(value)
        case "class":
            return class_of(name) == value
        case "branch":
            return value in {name, *branch.split("/")}
        case "owner":
            return owner == value
        case _:
            raise AssertionError(selector)  # the configuration is checked for that
