"""Facts joined into stories: one attempt to see a channel, one question, one call that never crossed.

Nothing that crosses carries a Call-ID, so the two sides are joined here: by the ports in our own session
descriptions, which are those of the relay's sockets, by serial numbers of MANSCDP, and where neither
says anything by name and moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal

from cascade.model.commands.broadcast import AskBroadcast
from cascade.model.commands.device_control import ControlPtz
from gateway.local.messages import Traced
from gateway.trace.book import PARTED
from gateway.trace.facts import Counted, Crossed, MediaFact, Message, Noted, PortOpened, SideName
from gateway.trace.reading import Read, read

ANSWER_SECONDS: Final = 40.0
"""How long after a question its message below is looked for."""
SAME: Final = 0.001
"""Moments of two clocks that may be one."""

HELD: Final = "ptz-held"
"""The note of a door whose side told somebody to wait for a camera that another turns."""

LAST: Final = frozenset({"StreamEnded", "Answer", "NoAnswer"})
"""Crossings after which nothing more comes."""

BROADCAST: Final = AskBroadcast.action

OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}
SENDER: Final[dict[str, SideName]] = {"inward": "outer", "outward": "inner"}

Kind = Literal["stream", "question", "call", "talk"]
Thread = list[Read]


@dataclass(slots=True)
class Story:
    """`asking` is the side of who wants something; messages of both sides in their order."""

    kind: Kind
    asking: SideName | None = None
    correlation: int | None = None
    channel: str = ""
    origin: str = ""
    asked_for: str = ""  # the action
    crossings: list[Crossed] = field(default_factory=list)
    above: Thread = field(default_factory=list)  # of who asks
    below: Thread = field(default_factory=list)  # of who is asked
    media: list[MediaFact] = field(default_factory=list)
    held: Noted | None = None  # the camera was another's, so nothing crossed
    parted: Noted | None = None  # the link was given up while it lasted
    now: float = 0.0
    sides: frozenset[SideName] = frozenset({"outer", "inner"})  # that were asked: a host knows its own

    @property
    def begins(self) -> float:
        moments = [one.at for one in (*self.crossings, *self.media)]
        moments += [self.held.at] if self.held is not None else []
        return min([*moments, *(one.fact.at for one in (*self.above, *self.below))], default=0.0)

    @property
    def stream(self) -> str:
        """The relay's name of it, "" where there is none."""
        return next((fact.stream for fact in self.media), "")


def stories(traced: Traced) -> list[Story]:
    """All that can be told, in the order of their beginnings; talk, if there is any, comes last."""
    return _Joiner(traced).joined()


class _Joiner:
    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self._threads: dict[tuple[str, str], Thread] = defaultdict(list)
        reads = [read(fact) for fact in traced.facts if isinstance(fact, Message)]
        for one in sorted(reads, key=lambda one: one.fact.number):
            self._threads[one.thread].append(one)
        self._told: set[tuple[str, str]] = set()
        self._media: list[MediaFact] = [
            fact for fact in traced.facts if not isinstance(fact, Message | Crossed | Noted)
        ]
        self._ports = [fact for fact in self._media if isinstance(fact, PortOpened)]
        self._viewer_ports = {fact.port for fact in self._ports if fact.viewer}

    def joined(self) -> list[Story]:
        groups: dict[tuple[bool, int, int], list[Crossed]] = defaultdict(list)
        for fact in self._traced.facts:
            if isinstance(fact, Crossed) and (fact.subjects or fact.correlation):
                alone = 0 if fact.correlation else fact.number  # refused by its head: it got no number
                groups[fact.kind.startswith("Stream"), fact.correlation, alone].append(fact)
        told = [
            self._stream(group) if of_stream else self._question(group)
            for (of_stream, *_), group in sorted(groups.items(), key=lambda item: item[1][0].at)
            if of_stream or group[0].kind in {"Ask", "Notice", "Head"}
        ]
        told += self._waits()
        told += self._calls()
        for story in told:
            story.sides = frozenset(self._traced.newest)
            story.parted = self._parted(story)
        told.sort(key=lambda story: story.begins)
        talk = [
            one
            for key, thread in self._threads.items()
            if key not in self._told and self._is_talk(thread)
            for one in thread
        ]
        if talk:
            told.append(Story("talk", below=sorted(talk, key=_moment), now=self._traced.now))
        return told

    def _is_talk(self, thread: Thread) -> bool:
        """Of a peer its own messages, not all that its channels are named in."""
        if self._traced.about != "peer":
            return True
        return any(self._traced.what in {one.from_user, one.to_user, one.uri_user} for one in thread)

    def _stream(self, group: Sequence[Crossed]) -> Story:
        opened = next((fact for fact in group if fact.kind == "StreamOpen"), group[0])
        asking = SENDER[opened.direction]
        if opened.kind != "StreamOpen" and opened.kind == "StreamOffered":
            asking = OTHER[asking]
        story = Story(
            "stream",
            asking,
            opened.correlation,
            next(iter(opened.subjects), ""),
            opened.origin,
            opened.action,
            list(group),
            now=self._traced.now,
        )
        viewer = str(opened.correlation)
        port = next((fact.port for fact in self._ports if fact.viewer == viewer), None)
        story.above = self._take(self._viewer(story, opened.at, port))
        stream = next((str(fact.details["stream"]) for fact in group if fact.details.get("stream")), "")
        story.below = self._take(self._source(story, opened.at, stream), shared=True)
        stream = stream or self._stream_of(story.below)
        story.media = [
            fact
            for fact in self._media
            if fact.stream == stream and (fact.leg or getattr(fact, "viewer", "") in {"", viewer})
        ]
        return story

    def _viewer(self, story: Story, at: float, port: int | None) -> Thread:
        """The INVITE that asked: by the port in our answer, else the last one for it before it crossed."""
        assert story.asking is not None
        invites = self._invites(story.asking, story.channel, sent=False)
        if port is not None:
            for thread in invites:
                if any(one.fact.sent and one.media_port == port for one in thread):
                    return thread
        others = self._viewer_ports - {port}
        before = [
            thread
            for thread in invites
            if thread[0].fact.at <= at + SAME
            and thread[0].thread not in self._told
            and not any(one.fact.sent and one.media_port in others for one in thread)
        ]
        return before[-1] if before else []

    def _source(self, story: Story, at: float, stream: str) -> Thread:
        """Our INVITE to the source: by the relay's port in it, else the first one afterwards."""
        assert story.asking is not None
        other = OTHER[story.asking]
        if stream:
            ports = {fact.port for fact in self._ports if fact.stream == stream and not fact.viewer}
            every = self._invites(other, "", sent=True)
            return next((thread for thread in every if thread[0].media_port in ports), [])
        voice = story.asked_for == BROADCAST  # the speaker is invited, not what is to hear it
        invites = self._invites(other, "" if voice else story.channel, sent=True)
        last = max((fact.at for fact in story.crossings), default=at)
        until = last if last > at + SAME else at + ANSWER_SECONDS
        return next((it for it in invites if at - SAME <= it[0].fact.at <= until), [])

    def _stream_of(self, source: Thread) -> str:
        if not source:
            return ""
        port, at = source[0].media_port, source[0].fact.at
        opened = [fact for fact in self._ports if fact.port == port and not fact.viewer]
        return next((fact.stream for fact in reversed(opened) if fact.at <= at + SAME), "")

    def _invites(self, side: SideName, channel: str, *, sent: bool) -> list[Thread]:
        """Threads that an INVITE began, the oldest first; those that name it, if any does."""
        names = set(self._traced.shown.get(channel, {}).get(side, ()))
        found = [
            thread
            for (at_side, _), thread in self._threads.items()
            if at_side == side and thread[0].method == "INVITE" and thread[0].fact.sent == sent
        ]
        naming = [it for it in found if names & {it[0].uri_user, it[0].to_user, it[0].from_user}]
        return sorted(naming or ([] if names else found), key=lambda thread: thread[0].fact.at)

    def _question(self, group: Sequence[Crossed]) -> Story:
        asked = group[0]
        asking = SENDER[asked.direction]
        story = Story(
            "question",
            asking,
            asked.correlation,
            next(iter(asked.subjects), ""),
            asked.origin,
            asked.action,
            list(group),
            now=self._traced.now,
        )
        shown = self._traced.shown.get(story.channel, {})
        asks = self._messages(asking, set(shown.get(asking, ())), sent=False)
        before = [thread for thread in asks if thread[0].fact.at <= asked.at + SAME]
        above = before[-1] if before else []
        story.above = self._with_answers(above)
        other = OTHER[asking]
        if any(fact.kind in {"Ask", "Notice"} and not fact.passed for fact in group):
            return story
        sent = self._messages(other, set(shown.get(other, ())), sent=True)
        below = next((it for it in sent if asked.at - SAME <= it[0].fact.at <= asked.at + ANSWER_SECONDS), [])
        story.below = self._with_answers(below)
        return story

    def _waits(self) -> list[Story]:
        """Controls that were answered 486 by the side of who asked."""
        return [
            Story(
                "question",
                fact.side,
                channel=channel,
                origin=fact.peer,
                asked_for=ControlPtz.action,
                above=self._take(self._refused_control(fact, channel)),
                held=fact,
                now=self._traced.now,
            )
            for fact in self._traced.facts
            if isinstance(fact, Noted) and fact.event == HELD and (channel := fact.details.get("channel", ""))
        ]

    def _parted(self, story: Story) -> Noted | None:
        """The first loss of the link after it crossed, unless it was over by then."""
        if not story.crossings:
            return None
        over = min((it.at for it in story.crossings if it.kind in LAST or not it.passed), default=inf)
        begins = story.crossings[0].at
        lost = [fact for fact in self._traced.facts if isinstance(fact, Noted) and fact.event == PARTED]
        return next((fact for fact in lost if begins <= fact.at <= over + SAME), None)

    def _refused_control(self, fact: Noted, channel: str) -> Thread:
        """The last message for it, by that peer, before the note was written."""
        names = set(self._traced.shown.get(channel, {}).get(fact.side, ()))
        before = [
            thread
            for thread in self._messages(fact.side, names, sent=False)
            if thread[0].fact.at <= fact.at + SAME and thread[0].from_user == fact.peer
        ]
        return before[-1] if before else []

    def _messages(self, side: SideName, names: set[str], *, sent: bool) -> list[Thread]:
        """Questions and commands that name it, the oldest first."""
        found = [
            thread
            for (at_side, _), thread in self._threads.items()
            if at_side == side
            and (thread[0].root in {"Query", "Control"} or thread[0].command == "Broadcast")
            and thread[0].fact.sent == sent
            and thread[0].named in names
        ]
        return sorted(found, key=lambda thread: thread[0].fact.at)

    def _with_answers(self, thread: Thread) -> Thread:
        """A question with its 200, and with the messages that answer it by its serial number."""
        if not thread:
            return []
        first = thread[0]
        answers = [
            other
            for (side, _), other in self._threads.items()
            if side == first.fact.side
            and other[0].root == "Response"
            and (other[0].serial, other[0].command) == (first.serial, first.command)
            and other[0].fact.sent != first.fact.sent
            and other[0].fact.at >= first.fact.at
        ]
        return sorted([*self._take(thread), *(it for one in answers for it in self._take(one))], key=_moment)

    def _calls(self) -> list[Story]:
        """INVITEs that led to no crossing: refused at once, or older than the crossings that are kept."""
        left = [
            thread
            for key, thread in self._threads.items()
            if key not in self._told and any(one.method == "INVITE" for one in thread)
        ]
        return [
            Story(
                "call",
                thread[0].fact.side if not thread[0].fact.sent else OTHER[thread[0].fact.side],
                channel=thread[0].uri_user or thread[0].to_user,
                origin=thread[0].from_user,
                above=[] if thread[0].fact.sent else self._take(thread),
                below=self._take(thread) if thread[0].fact.sent else [],
                now=self._traced.now,
            )
            for thread in left
        ]

    def _take(self, thread: Thread, *, shared: bool = False) -> Thread:
        if thread:
            self._told.add(thread[0].thread)
        return list(thread)


def _moment(one: Read) -> tuple[float, int]:
    return one.fact.at, one.fact.number


def chosen(told: Sequence[Story], traced: Traced, what: str) -> Story | None:
    """The story that answers `what`: of a peer its own talk, of everything else the newest attempt."""
    if traced.about == "correlation":
        return next((story for story in reversed(told) if str(story.correlation) == what), None)
    if traced.about == "peer":
        wanted = [story for story in told if story.kind == "talk"] or told
        return wanted[-1] if wanted else None
    attempts = [story for story in told if story.kind != "talk"]
    return attempts[-1] if attempts else (told[-1] if told else None)


def totals(media: Iterable[MediaFact]) -> Counted | None:
    """The newest count of what came from the source; of the other host's half, what came of it to us."""
    counts = [fact for fact in media if isinstance(fact, Counted)]
    return max(counts, key=lambda fact: (not fact.leg, fact.over, fact.at), default=None)


def lost_on_leg(media: Iterable[MediaFact]) -> int | None:
    """How many packets were lost between the hosts, None where nothing is known of the leg.

    A gap that was there before the leg stays one behind it: what the source's own host has missed counts
    as lost there, if that host was asked.
    """
    counts = [fact for fact in media if isinstance(fact, Counted)]
    before = max((fact.lost for fact in counts if not fact.leg), default=0)
    behind = [fact.lost for fact in counts if fact.leg]
    return max(0, max(behind) - before) if behind else None
