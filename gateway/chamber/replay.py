"""Recorded crossings, judged by other rules: what would have been different?

A record names who, what, which way and of which channels, and that is what rules go by. Where a channel
stands is asked of today's catalog. What a record cannot tell is counted and never guessed: rows are
counted in it and not listed, and of very many names only the first are.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeGuard, get_args

from msgspec.structs import replace

from cascade.crossing import Direction
from cascade.model.ids import ChannelId, PeerName, PlatformId
from gateway.chamber.policy import ALWAYS, NOWHERE, CompiledRules, Place, Places, Question

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)

JUDGED: Final = frozenset({"Ask", "Notice", "StreamOpen", "StreamControl", "Head"})
WITH_ITS_QUESTION: Final = frozenset({"Answer", "StreamOffered"})
NO_RULE: Final = frozenset({"audit", "audit-beyond", "link", "link-full", "unasked"})
"""Decisions that no rule took and none can change: something could not be recorded, or handed over."""

Untold = Literal["rows", "answers", "ends", "trouble", "incomplete", "notes", "unreadable"]
"""Why a record was not judged: it lists no rows; it is an answer, which goes as its question goes; it is an
end, which always passes; no rule decided; it does not list all names; nothing crossed; it is no record."""


class Change(NamedTuple):
    """The same for all crossings that only differ in their channels."""

    direction: Direction
    action: str
    peer: str
    was: str  # the rule that decided then
    now: str
    passes: bool  # now; it was the other way round then


@dataclass(slots=True)
class Replay:
    """What judging again has found so far."""

    judged: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    examples: dict[Change, str] = field(default_factory=dict)
    """Of each change the channel that came first, "" where none was named."""
    untold: Counter[Untold] = field(default_factory=Counter)
    rows: int = 0  # in records that only count them


def replay(
    records: Iterable[Mapping[str, Any] | None], rules: CompiledRules, places: Places, peers: Collection[str]
) -> Replay:
    """Judge the records of one audit file; None stands for a line that could not be read.

    Only what a door sent is judged: what the other received is in its own file. `peers` are all that are
    configured, since a name of a channel begins with one.
    """
    found = Replay()
    for record in records:
        if record is None:
            found.untold["unreadable"] += 1
        elif record.get("door") == "send":
            _judge(record, found, rules, _named(places, peers))
    return found


Named = Callable[[str], tuple[str, Place, bool]]
"""Name, place, and whether it is a peer, of what a record names."""


def _judge(record: Mapping[str, Any], found: Replay, rules: CompiledRules, named: Named) -> None:
    untold = _untold(record)
    if untold is not None:
        found.untold[untold] += 1
        found.rows += record.get("rows", 0)
        return
    found.judged += 1
    direction, action, peer = record["direction"], str(record["action"]), str(record["origin"])
    question = Question(direction, action, peer)
    passes, rule, example = _decide(question, record["kind"], record["subjects"], rules, named)
    if passes != (record["verdict"] == "passed"):
        change = Change(direction, action, peer, str(record["rule"]), rule, passes)
        found.changes[change] += 1
        found.examples.setdefault(change, example)


def _untold(record: Mapping[str, Any]) -> Untold | None:
    kind = record.get("kind")
    if kind == "Note":
        return "notes"
    if kind == "CatalogBatch":
        return "rows"
    if kind in WITH_ITS_QUESTION or (kind == "StreamOpen" and record.get("details", {}).get("invitation")):
        return "answers"
    if record.get("rule") == ALWAYS:
        return "ends"
    if record.get("rule") in NO_RULE:
        return "trouble"
    if kind not in JUDGED or record.get("direction") not in DIRECTIONS:
        return "unreadable"
    subjects = record.get("subjects")
    if record.get("cut") or record.get("subjects_not_listed"):
        return "incomplete"
    return None if _is_texts(subjects) and "action" in record and "origin" in record else "unreadable"


def _is_texts(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _decide(
    question: Question, kind: str, subjects: Sequence[str], rules: CompiledRules, named: Named
) -> tuple[bool, str, str]:
    """As `policy.judge` decides about what is no list: the first name that may not pass refuses it all."""
    if not subjects:
        return (*rules.judge(question, ""), "")
    rule = ""
    for text in subjects:
        name, place, is_peer = named(text)
        asked = replace(question, peer=name) if is_peer and kind == "Notice" else question
        allowed, rule = rules.judge(asked, name, place)
        if not allowed:
            return False, rule, text
    return True, rule, subjects[0]


def _named(places: Places, peers: Collection[str]) -> Named:
    longest_first = sorted(peers, key=len, reverse=True)

    def named(text: str) -> tuple[str, Place, bool]:
        key = channel_of(text, longest_first)
        return (text, NOWHERE, True) if key is None else (key.name, places(key), False)

    return named


def channel_of(text: str, longest_first: Sequence[str]) -> ChannelId | None:
    """The channel that is written as peer, "/" and name; None where `text` names a peer, or nothing."""
    if text in longest_first:
        return None
    peer = next((peer for peer in longest_first if text.startswith(f"{peer}/")), "")
    peer, _, name = (peer, "", text[len(peer) + 1 :]) if peer else text.partition("/")
    try:
        return ChannelId(PlatformId(peer), PeerName(name))
    except ValueError:
        return None
