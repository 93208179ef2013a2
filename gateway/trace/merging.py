"""Answers of one or two gateways, asked again and again, as one: what `--follow` and two hosts need."""

from typing import Final

from gateway.local.messages import Trace, Traced
from gateway.trace.facts import AnyFact, Counted, Message, Sent, SideName
from gateway.trace.reading import read

MAX_CALLS: Final = 64
RANK: Final = {"peer": 3, "channel": 2, "correlation": 1, "text": 0}


def _key(fact: AnyFact) -> tuple[str, str, int]:
    """What a fact replaces: a count the one before it, everything else nothing."""
    if isinstance(fact, Counted | Sent):
        return fact.side, f"{fact.stream} {getattr(fact, 'viewer', '')}", int(fact.over)
    return fact.side, "message" if isinstance(fact, Message) else "", fact.number


class Gathered:
    """All that was answered about one thing so far."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._facts: dict[tuple[str, str, int], AnyFact] = {}
        self._newest: dict[SideName, tuple[int, int]] = {}
        self._calls: dict[str, None] = {}
        self._shown: dict[str, dict[SideName, tuple[str, ...]]] = {}
        self._names: set[str] = set()
        self._last: Traced | None = None
        self._cut = False

    def wanted(self) -> Trace:
        """What to ask next: all that is newer."""
        calls = tuple(self._calls)[-MAX_CALLS:]
        return Trace(what=self._what, after=self._newest, calls=calls)

    def take(self, answer: Traced) -> None:
        for fact in answer.facts:
            self._facts[_key(fact)] = fact
            if isinstance(fact, Message) and (call := read(fact).call_id):
                self._calls[call[:128]] = None
        self._newest |= answer.newest
        for channel, names in answer.shown.items():
            self._shown[channel] = self._shown.get(channel, {}) | names
        self._names.update(answer.names)
        self._cut |= answer.cut
        if self._last is None or RANK[answer.about] >= RANK[self._last.about]:
            self._last = answer

    def whole(self) -> Traced:
        """As if one gateway of both sides had answered once."""
        assert self._last is not None, "nobody was asked"
        return Traced(
            what=self._what,
            about=self._last.about,
            now=self._last.now,
            names=tuple(sorted(self._names)),
            shown=self._shown,
            facts=tuple(sorted(self._facts.values(), key=lambda fact: (fact.at, fact.number))),
            newest=self._newest,
            cut=self._cut,
        )
