"""The decision about each crossing, as a pure function over one list of rules. Default: refuse.

The first rule that matches direction, peer, action and name decides. A rule's `peer` is the peer a
crossing comes from; for an answer, the peer that asked: an answer is judged by the rule of its
question, and so is media that an invitation calls for, though it comes as a question of its own. A
notice about peers is ours, gathered over many of them, so each peer that it names counts as the one
that reports.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, assert_never

from msgspec import Struct
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
from cascade.model.commands import Control, subjects
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Rows, Selector
from cascade.ports import Verdict
from gateway.chamber.rates import megabits, wanted
from gateway.chamber.rules import ANY, Quota, Rule
from gateway.chamber.tickets import Ticket
from gateway.chamber.veil import FOREIGN, Veils
from gateway.words import Saying, saying

DEFAULT: Final = "default"  # no rule matched
ROWS: Final = "row-by-row"
ALWAYS: Final = "always"  # an end, or a withdrawal
UNASKED: Final = "unasked"  # an answer to nothing that is open
RESERVED: Final = frozenset(
    {DEFAULT, ROWS, ALWAYS, UNASKED, FOREIGN, "audit", "audit-beyond", "link", "link-full"}
)
"""Names of decisions that no rule took; no rule may be called so."""

MAX_SELECTORS: Final = 4096
CATALOG_ROWS: Final = "catalog.rows"

Place = tuple[str, str]
"""Branch and owner of a channel: its ancestors, nearest first, joined by "/"; GB/T 28181 Catalog `Owner`."""
NOWHERE: Final[Place] = ("", "")
Places = Callable[[ChannelId], Place]
"""Where a channel stands and whose it is, as the side's index knows it; `NOWHERE` where it does not."""


class Question(Struct, frozen=True, gc=False):
    """What is asked of the rules about a name: who wants to do what, which way."""

    direction: Direction
    action: str
    peer: str


class CompiledRules:
    """The rule list, with one native selector for each question that has come up.

    The selectors are a bounded memory of what the list says; the oldest is forgotten first. Peers
    that no rule names share one.
    """

    def __init__(
        self, rules: Iterable[Rule], *, tickets: Iterable[Ticket] = (), veils: Veils | None = None
    ) -> None:
        """`tickets` stand above the rules; `veils` are those of the longer list that these are a part of."""
        listed, above = tuple(rules), tuple(tickets)
        self.rules: Final = (*(ticket.rule() for ticket in above), *listed)
        self._by_id = {rule.id: rule for rule in self.rules}
        self._named = {rule.peer for rule in self.rules}
        self.veils: Final = veils or Veils(listed, [rule.channels for rule in listed])
        self.quotas: Final = {rule.id: rule.quota for rule in self.rules if rule.quota.any}
        self._selectors: OrderedDict[tuple[Direction, str, str], Selector] = OrderedDict()
        self._recent: dict[Question, Selector] = {}  # the same by who asks, whether a rule names it or not
        self._times = {rule.when for rule in self.rules if not rule.when.always}
        self._until = {ticket.id: ticket.until for ticket in above}
        self._timed = bool(self._times or self._until)
        self._minute = -1
        self._now = self

    @property
    def fingerprint(self) -> str:
        """Tells this list, whenever its rules count, from every other one."""
        return self.veils.fingerprint

    @property
    def timed(self) -> bool:
        """Does any of them count at certain times only?"""
        return self._timed

    def at(self, wall: float) -> "CompiledRules":
        """Those that count at this time, seconds since 1970; the same object while they are the same."""
        if not self._timed:
            return self
        minute = int(wall // 60)
        if minute != self._minute:
            self._minute = minute
            off = {when for when in self._times if not when.holds(minute * 60)}
            over = {id for id, until in self._until.items() if until <= minute * 60}
            counting = tuple(rule for rule in self.rules if rule.when not in off and rule.id not in over)
            if counting != self._now.rules:
                self._now = CompiledRules(counting, veils=self.veils)._timeless()
        return self._now

    def _timeless(self) -> "CompiledRules":
        """These, as they were picked for a time: `at` has nothing more to choose."""
        self._times, self._until, self._timed = set(), {}, False
        return self

    def selector(self, direction: Direction, action: str, peer: str) -> Selector:
        key = (direction, action, peer if peer in self._named else ANY)
        found = self._selectors.get(key)
        if found is None:
            known = self.veils.known_to
            found = Selector([(r.id, r.allow, known(r.channels)) for r in self.rules if r.covers(*key)])
            self._selectors[key] = found
            if len(self._selectors) > MAX_SELECTORS:
                self._selectors.popitem(last=False)
        return found

    def judge(self, question: Question, name: str, place: Place = NOWHERE) -> tuple[bool, str]:
        """Whether this name may, and the rule that says so."""
        found = self._recent.get(question)
        if found is None:
            if len(self._recent) >= MAX_SELECTORS:
                self._recent.clear()
            found = self.selector(question.direction, question.action, question.peer)
            self._recent[question] = found
        return found.judge(name, place[0], place[1])

    def reason(self, rule: str) -> str:
        found = self._by_id.get(rule)
        return found.reason if found is not None else ""


class Used(Protocol):
    """What is under way by each rule at the door that judges."""

    def streams_of(self, rule: str) -> int: ...

    def commands_of(self, rule: str) -> int: ...

    def bits_of(self, rule: str, besides: tuple[Direction, int] | None = None) -> int: ...


_ASKING: Final = (Ask, Notice)


class Asked(Struct, frozen=True):
    """Who asked what a crossing answers, and which way that question went."""

    asker: PlatformId
    direction: Direction


def judge(
    rules: CompiledRules,
    crossing: Crossing,
    direction: Direction,
    places: Places,
    asked: Asked | None = None,
    used: Used | None = None,
) -> Verdict:
    """Decide what of `crossing` may pass. `asked` is what it answers, None if that is nothing open.

    `rules` are those of this time (`CompiledRules.at`); `used` is what their quotas are compared with.

    A list loses the rows that may not pass and keeps their neighbours. Anything else passes only
    if everything it names may: one allowed name must not lift the refusal of another.
    """
    if isinstance(crossing, _ASKING):  # what comes most often, without a pattern tried
        payload = crossing.payload
        question = Question(direction, payload.action, crossing.origin)
        verdict = _judge_each(rules, crossing, question, subjects(payload), places)
        if not rules.quotas or (type(crossing) is Notice and not isinstance(payload, Control)):
            return verdict
        return _within_commands(rules, verdict, used)
    match crossing:
        case Answer(payload=payload):
            return _judge_answer(rules, crossing, asked, payload.action, subjects(payload), places)
        case StreamOffered(channel=channel, action=action):
            verdict = _judge_answer(rules, crossing, asked, action, (channel,), places)
            return _within_rate(rules, verdict, crossing, BACK[direction], used)
        case StreamOpen(channel=channel, action=action) if crossing.invitation:
            verdict = _judge_answer(rules, crossing, asked, action, (channel,), places)
            return _within_streams(rules, verdict, crossing, direction, used)
        case StreamOpen(channel=channel, action=action):
            question = Question(direction, action, crossing.origin)
            verdict = _judge_each(rules, crossing, question, (channel,), places)
            return _within_streams(rules, verdict, crossing, direction, used)
        case StreamControl(channel=channel, action=action):
            question = Question(direction, action, crossing.origin)
            return _judge_each(rules, crossing, question, (channel,), places)
        case NoAnswer() | StreamEnded():
            return Verdict(crossing, ALWAYS)  # an end is never held back
        case CatalogBatch(change="anew" | "whole", rows=rows):
            # A withdrawal of whatever is not told between the two: no row is in it.
            return Verdict(replace(crossing, rows=rows.slice(0, 0)), ALWAYS)
        case CatalogBatch(rows=rows):
            # A row that goes is judged like one that comes, by where it stood: the other side hears
            # nothing of rows that were never shown to it.
            legible, foreign = rules.veils.legible(rows)
            admitted, refused = legible.select(rules.selector(direction, CATALOG_ROWS, crossing.origin))
            refused |= foreign
            if not len(admitted):
                why = saying("refusal.no_row", rows=len(rows), direction=direction)
                return Verdict(None, ROWS, why, refused)
            passes = admitted if crossing.change == "present" else _places(admitted)
            return Verdict(replace(crossing, rows=passes), ROWS, "", refused)
        case _:
            assert_never(crossing)


def veiled(rules: CompiledRules, batch: CatalogBatch, direction: Direction, places: Places) -> CatalogBatch:
    """What of these admitted rows the sending door lets out: none names what may not cross itself.

    The peer itself is named: every crossing of its says who it is.
    """
    may = rules.selector(direction, CATALOG_ROWS, batch.origin)
    veils = {
        name: rules.veils.of(name)
        for name in batch.rows.named_above()
        if name != batch.origin and not may.judge(name, *_place_of(name, batch.origin, places))[0]
    }
    return replace(batch, rows=batch.rows.veil(veils)) if veils else batch


def _place_of(name: str, peer: PlatformId, places: Places) -> Place:
    try:
        return places(ChannelId(peer, PeerName(name)))
    except ValueError:  # what a peer wrote may be no name at all, and then has no row
        return NOWHERE


def judge_head(
    rules: CompiledRules,
    action: str,
    target: ChannelId,
    origin: PlatformId,
    direction: Direction,
    places: Places,
    used: Used | None = None,
) -> Verdict | None:
    """The refusal of a request of which only the head was read; None if the whole may be sent on.

    The rules look at nothing else of a command about one channel, so both judgements agree.
    """
    question = Question(direction, action, origin)
    allowed, rule = rules.judge(question, *_judged(target, places))
    if not allowed:
        return _refused(rules, question, rule, str(target))
    return _spent_command(rules.quotas.get(rule), rule, used)


def _within_commands(rules: CompiledRules, verdict: Verdict, used: Used | None) -> Verdict:
    """The verdict, or the refusal of one more by a rule whose quota is used up."""
    if verdict.passes is None or not rules.quotas:
        return verdict
    return _spent_command(rules.quotas.get(verdict.rule), verdict.rule, used) or verdict


def _within_streams(
    rules: CompiledRules, verdict: Verdict, opened: StreamOpen, direction: Direction, used: Used | None
) -> Verdict:
    if verdict.passes is None or not rules.quotas:
        return verdict
    spent = _spent_stream(rules.quotas.get(verdict.rule), verdict.rule, used)
    return spent or _within_rate(rules, verdict, opened, direction, used)


def _within_rate(
    rules: CompiledRules,
    verdict: Verdict,
    stream: StreamOpen | StreamOffered,
    direction: Direction,
    used: Used | None,
) -> Verdict:
    """`direction` is the way of its `StreamOpen`."""
    quota = rules.quotas.get(verdict.rule)
    if verdict.passes is None or quota is None or used is None or not quota.bits_per_second:
        return verdict
    taken = used.bits_of(verdict.rule, besides=(direction, stream.correlation))
    more = wanted(stream, quota)
    if taken + more <= quota.bits_per_second:
        return verdict
    why = saying(
        "refusal.bits",
        rule=verdict.rule,
        most=megabits(quota.bits_per_second),
        taken=megabits(taken),
        wanted=megabits(more),
    )
    return Verdict(None, verdict.rule, why)


def _spent_command(quota: Quota | None, rule: str, used: Used | None) -> Verdict | None:
    if quota is None or used is None or not quota.commands or used.commands_of(rule) < quota.commands:
        return None
    return Verdict(None, rule, saying("refusal.commands", rule=rule, most=quota.commands), later=True)


def _spent_stream(quota: Quota | None, rule: str, used: Used | None) -> Verdict | None:
    if quota is None or used is None or not quota.streams or used.streams_of(rule) < quota.streams:
        return None
    return Verdict(None, rule, saying("refusal.streams", rule=rule, most=quota.streams))


def _judge_answer(
    rules: CompiledRules,
    crossing: Crossing,
    asked: Asked | None,
    action: str,
    names: Sequence[ChannelId | PlatformId],
    places: Places,
) -> Verdict:
    if asked is None:
        return Verdict(None, UNASKED, saying("refusal.unasked", action=action, peer=crossing.origin))
    return _judge_each(rules, crossing, Question(asked.direction, action, asked.asker), names, places)


def _judge_each(
    rules: CompiledRules,
    crossing: Crossing,
    question: Question,
    names: Sequence[ChannelId | PlatformId],
    places: Places,
) -> Verdict:
    """The first name that may not pass refuses the whole; what names nothing needs a rule for `*`."""
    if not names:
        allowed, rule = rules.judge(question, "")
        return (
            Verdict(crossing, rule)
            if allowed
            else _refused(rules, question, rule, saying("refusal.of_no_channel"))
        )
    rule = DEFAULT
    each_for_itself = type(crossing) is Notice
    for name in names:
        asked = question
        if isinstance(name, ChannelId):
            allowed, rule = rules.judge(question, name.name, places(name))
        else:
            if each_for_itself and name != question.peer:
                asked = Question(question.direction, question.action, name)
            allowed, rule = rules.judge(asked, name)
        if not allowed:
            return _refused(rules, asked, rule, str(name))
    return Verdict(crossing, rule)


def _judged(name: ChannelId | PlatformId, places: Places) -> tuple[str, Place]:
    match name:
        case ChannelId():
            return name.name, places(name)
        case PlatformId():
            return name, NOWHERE
        case _:
            assert_never(name)


def _refused(rules: CompiledRules, question: Question, rule: str, what: str | Saying) -> Verdict:
    """Three parts: what happened, why, what to do."""
    direction, action, peer = question.direction, question.action, question.peer
    if rule == DEFAULT:
        reason = saying("refusal.no_rule", what=what, action=action, direction=direction, peer=peer)
        return Verdict(None, rule, reason)
    why = rules.reason(rule).rstrip(".。 ") or saying(
        "refusal.denied", action=action, direction=direction, peer=peer
    )
    return Verdict(None, rule, saying("refusal.by_rule", rule=rule, what=what, why=why))


def _places(rows: Rows) -> Rows:
    """Which rows, where they stood and whose they were: all that is said of what is gone."""
    found = [rows.get(number) for number in range(len(rows))]
    known = ("id", "branch", "owner")
    return Rows.build([{field: row[field] for field in known if field in row} for row in found])
