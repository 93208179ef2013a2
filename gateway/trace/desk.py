"""Answers who asks about a running gateway, from what its sides keep and what they are now.

Nothing is read, parsed or joined before somebody asks, and then it is bounded: the newest messages that
name what was asked for, the newest crossings, and the media of these.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cascade.as_lower.face import AsLower
from cascade.as_upper.face import AsUpper
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index
from cascade.outbox import BEYOND
from gateway.chamber.gate import Gate
from gateway.chamber.link.standing import LinkView
from gateway.local.messages import (
    BelowState,
    KeptState,
    OnePeer,
    PeerStanding,
    QuotaState,
    Registration,
    Registrations,
    RulesState,
    SideState,
    Standing,
    Status,
    StreamState,
    Trace,
    Traced,
    TurnState,
)
from gateway.registrations.looking import look
from gateway.session.source import Sources
from gateway.side.side import Side
from gateway.trace.book import PARTED, Book
from gateway.trace.facts import AnyFact, Counted, Crossed, MediaFact, Message, Noted, PortOpened, SideName
from gateway.trace.peers import of_peer, summary, upper_state
from gateway.trace.plane import TracedPlane, TracedTrunk
from gateway.trace.reading import MEDIA_PORT
from gateway.trace.story import HELD
from media.link import MediaLink
from sip.endpoint import Endpoint
from sip.uri import host_port

MAX_MESSAGES: Final = 400
"""Of calls, and as many others, of one side."""
MAX_CALLS: Final = 16
"""Call-IDs by which messages are found that name nothing themselves; the newest."""
MAX_CROSSINGS: Final = 1000
MAX_CHANNELS: Final = 64
LEAST_TEXT: Final = 6
"""Characters, before messages are searched for what is no peer; a short number is in all of them."""

CALL_ID: Final = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]{1,256})")


@dataclass(frozen=True, slots=True)
class Seat:
    """One running side, as a desk looks at it."""

    side: Side
    gate: Gate
    endpoint: Endpoint
    sources: Sources
    book: Book
    plane: TracedPlane
    trunk: TracedTrunk | None  # as the leg to the other host uses the relay
    link: Callable[[], LinkView | None]  # to the other host
    leg: MediaLink  # between the media of both sides

    @property
    def name(self) -> SideName:
        return self.book.side

    @property
    def below(self) -> AsUpper:
        return self.side.as_upper

    @property
    def above(self) -> AsLower:
        return self.side.as_lower

    def running(self) -> Iterator[MediaFact]:
        """What came and left until now, of all that this side has open."""
        yield from self.plane.running()
        if self.trunk is not None:
            yield from self.trunk.running()

    def indices(self) -> tuple[Index, Index]:
        return self.side.below, self.side.shared


@dataclass(slots=True)
class _About:
    """What was asked for, in the terms of both sides."""

    what: str
    peers: set[str] = field(default_factory=set)
    channels: set[ChannelId] = field(default_factory=set)
    correlation: int | None = None

    @property
    def kind(self) -> Literal["channel", "peer", "correlation", "text"]:
        if self.correlation is not None:
            return "correlation"
        if self.peers:
            return "peer"
        return "channel" if self.channels else "text"


class Desk:
    """`seats` are the sides of this process."""

    def __init__(self, seats: Sequence[Seat], *, wall: Callable[[], float]) -> None:
        self._seats = seats
        self._wall = wall
        self._started = wall()
        self.rules: Callable[[], tuple[RulesState, ...]] = tuple
        """Who keeps the rules of this process says how these stand."""

    # What happened

    def trace(self, wanted: Trace) -> Traced:
        about = self._about(wanted.what)
        facts: list[AnyFact] = []
        newest: dict[SideName, tuple[int, int]] = {}
        cut = False
        crossed = [fact for seat in self._seats for fact in _matching(seat, about)]
        about.channels.update(self._named(crossed))
        for seat in self._seats:
            after_message, after_fact = wanted.after.get(seat.name, (0, 0))
            newest_message, messages, more = self._messages(seat, about, wanted.calls, after_message)
            media = _media(seat, crossed, messages)
            known = [fact for fact in crossed if fact.side == seat.name]
            cut |= more or len(known) > MAX_CROSSINGS
            facts += messages
            noted = _noted(seat, about)
            found = (*known[-MAX_CROSSINGS:], *noted[-MAX_CROSSINGS:], *media)
            facts += [fact for fact in found if fact.number > after_fact]
            newest[seat.name] = newest_message, seat.book.newest
        return Traced(
            what=wanted.what,
            about=about.kind,
            now=self._wall(),
            names=tuple(sorted({*about.peers, *map(str, about.channels)})),
            shown={str(channel): self._shown(channel) for channel in sorted(about.channels, key=str)},
            facts=tuple(sorted(facts, key=lambda fact: (fact.at, fact.number))),
            newest=newest,
            cut=cut,
        )

    def _about(self, what: str) -> _About:
        about = _About(what)
        for seat in self._seats:
            if _has_peer(seat, what):
                about.peers.add(what)
            for index in seat.indices():
                about.channels.update(
                    ChannelId(PlatformId(peer), PeerName(what))
                    for peer in index.peers()
                    if index.find(peer, what) is not None
                )
            about.channels.update(seat.above.known_as(what))
            if "/" in what:
                about.channels.update(
                    channel for channel in [_channel(what)] if channel and _is_there(seat, channel)
                )
        if not about.peers and not about.channels and what.isascii() and what.isdigit() and len(what) < 20:
            number = int(what)
            if any(
                entry.get("correlation") == number for seat in self._seats for entry in seat.book.entries()
            ):
                about.correlation = number
        return about

    def _named(self, crossed: Iterable[Crossed]) -> list[ChannelId]:
        """The channels that crossings name, the newest first ones."""
        names = dict.fromkeys(name for fact in crossed for name in reversed(fact.subjects))
        channels = [channel for name in reversed(names) if (channel := _channel(name)) is not None]
        return channels[:MAX_CHANNELS]

    def _shown(self, channel: ChannelId) -> dict[SideName, tuple[str, ...]]:
        return {seat.name: tuple(sorted(_names(seat, channel))) for seat in self._seats}

    def _messages(
        self, seat: Seat, about: _About, calls: Sequence[str], after: int
    ) -> tuple[int, list[Message], bool]:
        """The newest that name it, and the rest of their dialogs."""
        recall = seat.endpoint.stack.recall
        needles = {name for channel in about.channels for name in _names(seat, channel)}
        if not about.peers and len(about.what) >= LEAST_TEXT:  # a name that this side does not know, too
            needles.add(about.what)
        needles |= {peer for peer in about.peers if _has_peer(seat, peer)}
        wanted = [needle.encode() for needle in sorted(needles)]
        newest, found = recall(wanted, after, MAX_MESSAGES) if wanted else (after, [])
        more = len(found) >= MAX_MESSAGES
        met = [call.encode() for call in calls] + _calls([kept[5] for kept in reversed(found)])
        kept_by_number = {kept[0]: kept for kept in found}
        if met:
            first = min(kept_by_number, default=after + 1) - 1
            newest, rest = recall(met, max(after, first), MAX_MESSAGES)
            kept_by_number.update({kept[0]: kept for kept in rest})
        messages = [
            Message(
                side=seat.name,
                at=seat.book.at(moment),
                number=number,
                sent=sent,
                ours=seat.endpoint.local,
                peer=peer,
                length=length,
                data=data,
            )
            for number, moment, sent, peer, length, data in kept_by_number.values()
        ]
        return newest, messages, more

    # How things stand

    def registrations(self, wanted: Registration) -> Registrations:
        now = self._wall()
        return Registrations(now=now, sides=tuple(look(seat, wanted.what, now) for seat in self._seats))

    def standing(self, _wanted: Status) -> Generator[None, None, Standing]:
        """How things stand, in parts: it yields where something else may have its turn."""
        sides = []
        for seat in self._seats:
            below = yield from summary(seat)
            sides.append(_state(seat, below))
        return Standing(now=self._wall(), started=self._started, sides=tuple(sides), rules=self.rules())

    def status(self, wanted: Status) -> Standing:
        """The same at once."""
        parts = self.standing(wanted)
        while True:
            try:
                next(parts)
            except StopIteration as end:
                standing: Standing = end.value
                return standing

    def peer(self, wanted: OnePeer) -> PeerStanding:
        found = (of_peer(seat, wanted.what) for seat in self._seats)
        return PeerStanding(now=self._wall(), sides=tuple(one for one in found if one is not None))


def _calls(messages: Sequence[bytes]) -> list[bytes]:
    """The first Call-IDs of these requests, those of INVITEs before others: answers may name nothing."""
    requests = [message for message in messages if not message.startswith(b"SIP/2.0")]
    requests.sort(key=lambda message: not message.startswith(b"INVITE"))
    met = dict.fromkeys(found[1].strip() for one in requests if (found := CALL_ID.search(one)) is not None)
    return list(met)[:MAX_CALLS]


def _matching(seat: Seat, about: _About) -> list[Crossed]:
    """Crossings that name it, come from it, or answer such."""
    names = {str(channel) for channel in about.channels}
    tops = tuple(f"{peer}/" for peer in about.peers)
    linked = {
        _conversation(entry)
        for entry in seat.book.entries()
        if entry["origin"] in about.peers
        or (about.correlation is not None and entry.get("correlation") == about.correlation)
        or not names.isdisjoint(entry["subjects"])
        or (tops and any(name.startswith(tops) for name in entry["subjects"]))
    }
    found = seat.book.crossings(lambda entry: _conversation(entry) in linked)
    return sorted(found, key=lambda fact: fact.number)


def _noted(seat: Seat, about: _About) -> list[Noted]:
    """Where one of these peers was told to wait for one of these cameras, and where the link was lost."""
    names = {str(channel) for channel in about.channels}

    def wanted(fact: Noted) -> bool:
        if fact.event == HELD:
            return fact.peer in about.peers or fact.details.get("channel") in names
        return fact.event == PARTED and about.kind != "text"

    return [fact for fact in seat.book.notes() if wanted(fact)]


def _conversation(entry: Mapping[str, Any]) -> tuple[bool, int, str]:
    """What a crossing shares with those that it answers; a request refused by its head has no number."""
    number = entry.get("correlation", 0)
    return entry["kind"].startswith("Stream"), number, "" if number else str(entry["subjects"])


def _media(seat: Seat, crossed: Sequence[Crossed], messages: Sequence[Message]) -> list[MediaFact]:
    """What is known of the streams that these crossings or our own session descriptions speak of."""
    viewers = {str(fact.correlation) for fact in crossed if fact.kind.startswith("Stream")}
    streams = {str(fact.details["stream"]) for fact in crossed if fact.details.get("stream")}
    ports = {
        int(found[1])
        for message in messages
        if message.sent and (found := MEDIA_PORT.search(message.data)) is not None
    }
    every = list(seat.book.streams())
    streams |= {
        fact.stream
        for fact in every
        if isinstance(fact, PortOpened) and (fact.viewer in viewers if fact.viewer else fact.port in ports)
    }
    if streams:
        every += seat.running()
    theirs = [fact for fact in every if fact.stream in streams]
    return [fact for fact in theirs if fact.leg or getattr(fact, "viewer", "") in {"", *viewers}]


def _names(seat: Seat, channel: ChannelId) -> set[str]:
    """What the peers of a side call a channel."""
    own = {str(channel.name)} if channel.peer in seat.below.peers else set()
    return own | set(seat.above.shown(channel))


def _has_peer(seat: Seat, peer: str) -> bool:
    return peer in seat.below.peers or any(view.upper == peer for view in seat.above.state())


def _is_there(seat: Seat, channel: ChannelId) -> bool:
    return any(index.find(channel.peer, channel.name) is not None for index in seat.indices())


def _channel(text: str) -> ChannelId | None:
    peer, _, name = text.partition("/")
    try:
        return ChannelId(PlatformId(peer), PeerName(name))
    except ValueError:
        return None


def _state(seat: Seat, below: BelowState) -> SideState:
    tables = seat.side.tables()
    counters = seat.gate.counters
    host, port = seat.endpoint.local
    return SideState(
        side=seat.name,
        id=seat.endpoint.me.user,
        address=host_port(host, port),
        below=below,
        uppers=tuple(upper_state(seat, view) for view in seat.above.state()),
        streams=_streams(seat),
        turns=tuple(
            TurnState(
                channel=str(channel),
                peer=str(hold.upper),
                level=hold.level,
                seconds=seconds,
                moving=hold.moving,
            )
            for channel, hold, seconds in seat.above.controls.holds()
        ),
        viewings=tables.viewings,
        calls=tables.calls,
        ports=tables.ports,
        crossings=counters.passed.total(),
        refused=dict(counters.refused),
        rows_passed=counters.rows_passed,
        rows_refused=dict(counters.rows_refused),
        shut=seat.gate.shut,
        sip=seat.side.counters(),
        link=seat.link(),
        leg=dict(seat.leg.counters()),
        quotas=tuple(_quotas(seat.gate)),
        kept=tuple(_kept(seat)),
        limits=seat.side.described.limits,
    )


def _kept(seat: Seat) -> Iterator[KeptState]:
    """Of whom alarms wait for, or were lost."""
    for addressee, outbox in [(BEYOND, seat.below.alarms.outbox), *seat.above.outboxes()]:
        first, lost = outbox.first, outbox.counts["lost"]
        if first is not None or lost:
            oldest = None if first is None else first.kept_at
            yield KeptState(addressee=str(addressee), count=len(outbox), oldest=oldest, lost=lost)


def _quotas(gate: Gate) -> Iterator[QuotaState]:
    """The rules that limit something and have let something through."""
    quotas, used = gate.limits
    for rule, quota in quotas.items():
        found = QuotaState(
            rule=rule,
            streams=used.streams_of(rule),
            most_streams=quota.streams,
            bits_per_second=used.bits_of(rule),
            most_bits_per_second=quota.bits_per_second,
            commands=used.commands_of(rule),
            most_commands=quota.commands,
        )
        if found.streams or found.commands:
            yield found


def _streams(seat: Seat) -> tuple[StreamState, ...]:
    bringing = list(seat.sources)
    if not bringing:
        return ()
    counted = {fact.stream: fact for fact in seat.plane.running() if isinstance(fact, Counted)}
    states = []
    for source in bringing:
        channel = source.wish.channel
        row = next((found for index in seat.indices() if (found := index.find(*_key(channel)))), {})
        so_far = counted.get(source.stream, Counted(stream=source.stream, over=False))
        states.append(
            StreamState(
                stream=source.stream,
                channel=str(channel),
                name=row.get("name", ""),
                action=source.wish.action,
                viewers=source.watchers,
                packets=so_far.admitted,
                bytes=so_far.bytes,
                lost=so_far.lost,
                refused=sum(so_far.refused.values()),
                since=so_far.first,
            )
        )
    return tuple(states)


def _key(channel: ChannelId) -> tuple[str, str]:
    return channel.peer, channel.name
