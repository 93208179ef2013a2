"""The decision about each crossing, as a pure function over one list of rules. Default: refuse.

The first rule that matches direction, peer, action and name decides. A rule's `peer` is the peer a
crossing comes from; for an answer, the peer that asked: an answer is judged by the rule of its
question. A notice about peers is ours, gathered over many of them, so each peer that it names counts
as the one that reports.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final, Literal, NamedTuple, assert_never

from msgspec import Meta, Struct
from msgspec.structs import replace

from cascade.crossing import (
    BACK,
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    Direction,
    NoAnswer,
    Notice,
    StreamControl,
    StreamEnded,
    StreamOffered,
    StreamOpen,
)
from cascade.model.commands import subjects
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows, Selector
from cascade.ports import Verdict

ANY: Final = "*"
DEFAULT: Final = "default"  # no rule matched
ROWS: Final = "row-by-row"
ALWAYS: Final = "always"  # an end, or a withdrawal
UNASKED: Final = "unasked"  # an answer to nothing that is open
RESERVED: Final = frozenset({DEFAULT, ROWS, ALWAYS, UNASKED, "audit", "link"})
"""Names of decisions that no rule took; no rule may be called so."""

MAX_SELECTORS: Final = 4096
CATALOG_ROWS: Final = "catalog.rows"

Branch = Callable[[ChannelId], str]
"""The ancestors of a channel as the side's index knows them, nearest first, joined by "/"."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the rule list. The first that matches decides; no match refuses."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    """Short name; stands in audit records, counters and refusals."""
    direction: Direction
    """`inward`: towards the public-security network; `outward`: towards the public network."""
    action: str
    """What is done: `catalog.rows`, `media.live`, `query.*`, `notice.presence`, or `*`."""
    verdict: Literal["allow", "deny"]
    """May what fits this rule pass?"""
    channels: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Names it is about: `*`, `id:` one name, `prefix:` digits, `branch:` a name and all below it."""
    peer: str = ANY
    """The peer that asks or reports, by its id; `*` is every peer."""
    reason: str = ""
    """Why the rule is there; shown to the administrator with each refusal."""

    @property
    def allow(self) -> bool:
        return self.verdict == "allow"

    def covers(self, direction: Direction, action: str, peer: str) -> bool:
        """Does it speak about this at all, whatever the channel?"""
        return self.direction == direction and self.peer in {ANY, peer} and matches(self.action, action)


def matches(pattern: str, action: str) -> bool:
    """`*` is every action, `query.*` every one that begins with `query.`, else the action itself."""
    if pattern.endswith(ANY):
        return action.startswith(pattern[:-1])
    return pattern == action


class _Question(NamedTuple):
    """What is asked of the rules: who wants to do what, which way."""

    direction: Direction
    action: str
    peer: str


class CompiledRules:
    """The rule list, with one native selector for each question that has come up.

    The selectors are a bounded memory of what the list says; the oldest is forgotten first. Peers
    that no rule names share one.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: Final = tuple(rules)
        self._by_id = {rule.id: rule for rule in self.rules}
        self._named = {rule.peer for rule in self.rules}
        self._selectors: OrderedDict[tuple[Direction, str, str], Selector] = OrderedDict()

    def selector(self, direction: Direction, action: str, peer: str) -> Selector:
        key = (direction, action, peer if peer in self._named else ANY)
        found = self._selectors.get(key)
        if found is None:
            found = Selector([(r.id, r.allow, r.channels) for r in self.rules if r.covers(*key)])
            self._selectors[key] = found
            if len(self._selectors) > MAX_SELECTORS:
                self._selectors.popitem(last=False)
        return found

    def judge(self, question: _Question, name: str, branch: str) -> tuple[bool, str]:
        """Whether this name may, and the rule that says so."""
        return self.selector(*question).judge(name, branch)

    def reason(self, rule: str) -> str:
        found = self._by_id.get(rule)
        return found.reason if found is not None else ""


def judge(
    rules: CompiledRules,
    crossing: Crossing,
    direction: Direction,
    branch: Branch,
    asker: PlatformId | None = None,
) -> Verdict:
    """Decide what of `crossing` may pass. `asker` is who asked what it answers, None if nobody did.

    A list loses the rows that may not pass and keeps their neighbours. Anything else passes only
    if everything it names may: one allowed name must not lift the refusal of another.
    """
    match crossing:
        case CatalogBatch(rows=rows):
            # A row that goes is judged like one that comes, by where it stood: the other side hears
            # nothing of rows that were never shown to it.
            admitted, refused = rows.select(rules.selector(direction, CATALOG_ROWS, crossing.origin))
            if not len(admitted):
                return Verdict(None, ROWS, f"No row of this list of {len(rows)} may pass.", refused)
            passes = admitted if crossing.change == "present" else _places(admitted)
            return Verdict(replace(crossing, rows=passes), ROWS, "", refused)
        case Ask(payload=payload) | Notice(payload=payload):
            question = _Question(direction, payload.action, crossing.origin)
            return _judge_each(rules, crossing, question, tuple(subjects(payload)), branch)
        case Answer(payload=payload):
            return _judge_answer(
                rules, crossing, BACK[direction], asker, payload.action, tuple(subjects(payload)), branch
            )
        case StreamOffered(channel=channel, action=action):
            return _judge_answer(rules, crossing, BACK[direction], asker, action, (channel,), branch)
        case (
            StreamOpen(channel=channel, action=action)
            | StreamControl(channel=channel, action=action)
        ):  # fmt: skip
            question = _Question(direction, action, crossing.origin)
            return _judge_each(rules, crossing, question, (channel,), branch)
        case NoAnswer() | StreamEnded():
            return Verdict(crossing, ALWAYS)  # an end is never held back
        case _:
            assert_never(crossing)


def judge_head(
    rules: CompiledRules,
    action: str,
    target: ChannelId,
    origin: PlatformId,
    direction: Direction,
    branch: Branch,
) -> Verdict | None:
    """The refusal of a request of which only the head was read; None if the whole may be sent on.

    The rules look at nothing else of a command about one channel, so both judgements agree.
    """
    question = _Question(direction, action, origin)
    allowed, rule = rules.judge(question, *_judged(target, branch))
    return None if allowed else _refused(rules, question, rule, str(target))


def _judge_answer(
    rules: CompiledRules,
    crossing: Crossing,
    asked: Direction,
    asker: PlatformId | None,
    action: str,
    names: Sequence[ChannelId | PlatformId],
    branch: Branch,
) -> Verdict:
    if asker is None:
        reason = f'The answer "{action}" from {crossing.origin} was refused: it answers no open question.'
        return Verdict(None, UNASKED, reason)
    return _judge_each(rules, crossing, _Question(asked, action, asker), names, branch)


def _judge_each(
    rules: CompiledRules,
    crossing: Crossing,
    question: _Question,
    names: Sequence[ChannelId | PlatformId],
    branch: Branch,
) -> Verdict:
    """The first name that may not pass refuses the whole; what names nothing needs a rule for `*`."""
    if not names:
        allowed, rule = rules.judge(question, "", "")
        return (
            Verdict(crossing, rule) if allowed else _refused(rules, question, rule, "what names no channel")
        )
    rule = DEFAULT
    for name in names:
        asked = question
        if isinstance(name, PlatformId) and isinstance(crossing, Notice):
            asked = _Question(question.direction, question.action, name)
        allowed, rule = rules.judge(asked, *_judged(name, branch))
        if not allowed:
            return _refused(rules, asked, rule, str(name))
    return Verdict(crossing, rule)


def _judged(name: ChannelId | PlatformId, branch: Branch) -> tuple[str, str]:
    match name:
        case ChannelId():
            return name.name, branch(name)
        case PlatformId():
            return name, ""
        case _:
            assert_never(name)


def _refused(rules: CompiledRules, question: _Question, rule: str, what: str) -> Verdict:
    """Three parts: what happened, why, what to do."""
    asked = f"{question.action} {question.direction} for {question.peer}"
    if rule == DEFAULT:
        return Verdict(
            None,
            rule,
            f"Refused {what}: no rule allows {asked}. To allow it, add a rule with verdict = "
            f'"allow" for action "{question.action}", direction "{question.direction}".',
        )
    why = rules.reason(rule) or f"the rule denies {asked}"
    return Verdict(
        None,
        rule,
        f'Rule "{rule}" refused {what}: {why}. To allow it, add a rule above it or narrow its channels.',
    )


def _places(rows: Rows) -> Rows:
    """Which rows, and where they stood: all that is said of what is gone."""
    found = [rows.get(number) for number in range(len(rows))]
    return Rows.build([{"id": row["id"], "branch": row.get("branch", "")} for row in found])
