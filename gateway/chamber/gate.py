"""One side's door of the lock: judge, record, and only then hand over; the same again on arrival.

Nothing crosses that was not judged by both doors and written to both audits. An audit that cannot
be written stops everything, ends included; the sender learns it from the verdict. The other door is
signalled that this one is shut, and then nobody is left waiting there: decision 008.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Protocol

from msgspec.structs import replace

from cascade.crossing import (
    BACK,
    Ask,
    CatalogBatch,
    Crossing,
    Direction,
    Failure,
    NoAnswer,
    StreamEnded,
    StreamOffered,
    StreamOpen,
)
from cascade.limits import Bounds
from cascade.model.ids import ChannelId, PlatformId
from cascade.ports import Verdict
from gateway.chamber.audit import AuditUnavailable
from gateway.chamber.counting import GateCounters
from gateway.chamber.kinds import asks_something, says_how_things_are
from gateway.chamber.link import LinkEnd, LinkFull, LinkUnavailable, Signal
from gateway.chamber.metering import Metering
from gateway.chamber.policy import CompiledRules, Places, Question, Used, judge, judge_head, veiled
from gateway.chamber.record import Door, Post, describe_head
from gateway.chamber.rules import Quota
from gateway.chamber.under_way import Questions, Stream, UnderWay
from gateway.words import saying
from gateway.words.sentences import recognised

log: Final = logging.getLogger("gateway.chamber.gate")

RETRY_SECONDS: Final = 1.0

BEYOND: Final = "audit-beyond"
"""Rule of a refusal because the other door cannot record."""

Side = Literal["outer", "inner"]
SENDS: Final[dict[Side, Direction]] = {"outer": "inward", "inner": "outward"}

Observer = Callable[[Direction, Crossing], None]


class Recorder(Protocol):
    """`audit.Audit`, or a list in a test. Both return the line they wrote, or raise AuditUnavailable."""

    def cross(self, crossing: Crossing, verdict: Verdict, post: Post) -> bytes: ...

    def record(self, entry: Mapping[str, Any]) -> bytes: ...


class Gate:
    """Satisfies `cascade.ports.Gate`. `clock` gives seconds of any monotonic clock.

    What says how things are, and is said once (ends of streams; on arrival rows and presence too), is
    held while the audit cannot be written, and passes in its order as soon as it can. `later` calls
    back after so many seconds; without it what is held goes before the next crossing, and the other
    door hears nothing of this one's state. `rates` says how many bits a second the relay measures of each
    of its streams.
    """

    def __init__(
        self,
        *,
        side: Side,
        rules: CompiledRules,
        audit: Recorder,
        link: LinkEnd,
        places: Places,
        clock: Callable[[], float],
        observers: Sequence[Observer] = (),
        later: Callable[[float, Callable[[], None]], object] | None = None,
        wall: Callable[[], float] = time.time,
        rates: Callable[[], Mapping[str, int]] = dict,
        bounds: Bounds | None = None,
    ) -> None:
        self.on_delivery: Callable[[Crossing], None] = _undeliverable
        self.on_anew: Callable[[], None] = _nobody_tells
        self.counters: Final = GateCounters()
        self._side: Final = side
        self._sends: Final = SENDS[side]
        self._posts: Final[dict[Door, Post]] = {
            "send": Post(side, "send", SENDS[side]),
            "receive": Post(side, "receive", BACK[SENDS[side]]),
        }
        self._rules = rules
        self._audit = audit
        self._link = link
        self._places = places
        self._observers = list(observers)
        self._wall = wall
        self._bounds = bounds or Bounds()
        self._questions: Final = Questions(clock, self._bounds)
        self._under_way: Final = UnderWay(clock)
        self._later = later
        self._held: deque[tuple[Door, Crossing]] = deque()
        self._waking = False
        self._recording = True  # can this door write its audit, as far as it knows
        self._recording_beyond = True
        self._metering = later and Metering(
            self._under_way,
            rates=rates,
            quotas=lambda: self._rules.quotas,
            later=self._after,
            end=lambda stream: self._revoke(stream, stream.rule),
        )
        link.on_arrival = self.receive
        link.on_signal = self._signalled

    @property
    def shut(self) -> bool:
        """Can nothing be asked beyond now, since a door cannot record it, or nobody is there?"""
        return not (self._recording and self._recording_beyond and self._link.up)

    @property
    def away(self) -> bool:
        """Is nobody beyond? Whoever comes is told how things are then."""
        return not self._link.linked

    def observe(self, observer: Observer) -> None:
        """Show `observer` every crossing that is delivered here from now on."""
        self._observers.append(observer)

    def send(self, crossing: Crossing) -> Verdict:
        """Judge, record, and hand over what passes. Never blocks, never raises for a refusal."""
        if self._held:
            self.retry()
        verdict = self._decide(crossing, "send", self._sends)
        if verdict.passes is None:
            if verdict.rule == "audit" and isinstance(crossing, StreamEnded):
                self._hold("send", crossing)
            return verdict
        return self._hand_over(crossing, verdict)

    def _hand_over(self, crossing: Crossing, verdict: Verdict) -> Verdict:
        assert verdict.passes is not None
        self._remember(verdict.passes, self._sends, verdict.rule)
        try:
            self._link.deliver(verdict.passes)
        except LinkUnavailable as error:
            self._under_way.forget(self._sends, crossing.correlation)
            rule = "link-full" if isinstance(error, LinkFull) else "link"
            lost = Verdict(None, rule, saying("refusal.link", why=recognised(str(error))))
            return self._counted(crossing, self._written(crossing, lost, "send"))
        return self._counted(crossing, verdict)

    def admits(self, action: str, target: ChannelId, origin: PlatformId) -> bool:
        """Judge a request by its head; a refusal is recorded and counted like that of a crossing."""
        rules = self._rules.at(self._wall())
        refusal = judge_head(rules, action, target, origin, self._sends, self._places, self._under_way)
        if refusal is None and not self._recording:
            self._try_to_record()  # a yes leaves no record by which it would show
        if refusal is None and self.shut:
            refusal = self._why_shut()
        if refusal is None:
            return True
        try:
            self._audit.record(describe_head(action, target, origin, refusal, self._posts["send"]))
        except AuditUnavailable as error:
            self._shut()
            refusal = Verdict(None, "audit", error.said)
        self._note_refusal("Head", origin, refusal)
        return False

    def _why_shut(self) -> Verdict:
        if not self._recording:
            return Verdict(None, "audit", saying("refusal.shut"))
        return _SHUT_BEYOND if self._link.up else _DOWN

    def note(self, event: str, peer: PlatformId, **details: str) -> None:
        """Write what does not cross, but what an auditor must see, to this door's audit."""
        try:
            self._audit.record(
                {"side": self._side, "kind": "Note", "event": event, "peer": peer, "details": details}
            )
        except AuditUnavailable as error:  # what matters more stops by itself: nothing crosses either
            self._shut()
            log.error("audit.note_lost", extra={"noted": event, "peer": peer, "reason": error.said})

    def readmit(self, crossing: Crossing) -> Verdict:
        """Judge and record once more what came through in an earlier run, by the rules of today."""
        return self._decide(crossing, "receive", BACK[self._sends])

    def receive(self, crossing: Crossing) -> None:
        """Judge and record what the other door let through, then deliver it. The link calls this."""
        if self._held:
            self.retry()
        verdict = self._decide(crossing, "receive", BACK[self._sends])
        if verdict.passes is not None:
            self._deliver(crossing, verdict)
        elif verdict.rule == "audit" and says_how_things_are(crossing):
            self._hold("receive", crossing)
        elif verdict.rule == "audit":  # who asked beyond was signalled; who asked here gets no answer
            kind = "stream" if isinstance(crossing, StreamOffered) else "ask"
            self._give_up(kind, crossing.correlation)
        elif isinstance(crossing, StreamOffered):
            self._give_up("stream", crossing.correlation, verdict.rule, "refused")
        else:
            self._tell_asker(crossing, "refused", verdict.rule)

    def _hold(self, door: Door, crossing: Crossing) -> None:
        self.counters.held += 1
        if len(self._held) >= self._bounds.limits.crossings_held:
            self._held.popleft()
            self._bounds.meet("crossings_held")
            self.counters.lost += 1
        self._held.append((door, crossing))
        self._wake()

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        if self._later is not None:
            self._later(seconds, call)

    def _wake(self) -> None:
        if self._later is not None and not self._waking:
            self._waking = True
            self._later(RETRY_SECONDS, self._woken)

    def _woken(self) -> None:
        self._waking = False
        self.retry()
        if not self._recording:
            self._try_to_record()
        if self._held or not self._recording:
            self._wake()

    # Who can record: this door, and the one beyond

    def _shut(self) -> None:
        if self._recording and self._later is not None:
            self._recording = False
            self._link.signal("shut")
            self._wake()

    def _open(self) -> None:
        if not self._recording:
            self._recording = True
            self._link.signal("open")

    def _try_to_record(self) -> None:
        """A note of its own, since nobody asks anything of a door that is shut."""
        note = {"side": self._side, "kind": "Note", "event": "recording-resumed"}
        with suppress(AuditUnavailable):
            self._audit.record(note)
            self._open()

    def ask_anew(self) -> None:
        """This door judges otherwise now: have the other side tell it anew what there is."""
        self._link.signal("anew")

    def _signalled(self, signal: Signal) -> None:
        """The other door cannot record what we send, or can again. What is open gets no answer now."""
        if signal == "anew":
            log.info("door.asked_anew", extra={"side": self._side})
            self.on_anew()
            return
        recording = signal == "open"
        if recording == self._recording_beyond:
            return
        self._recording_beyond = recording
        if recording:
            log.info("door.opened_beyond", extra={"side": self._side})
            return
        log.warning("door.shut_beyond", extra={"side": self._side})
        for kind, direction, number in self._questions:
            if direction == self._sends:
                self._give_up(kind, number)

    def linked(self, up: bool) -> None:
        """Somebody is beyond now, who knows nothing of us yet; or nobody is any more."""
        self._recording_beyond = True
        if up:
            if not self._recording:
                self._link.signal("shut")
            return
        for kind, direction, number in self._questions:
            if direction == self._sends:
                self._give_up(kind, number, "link")
        self._questions.clear()
        self._under_way.clear()

    @property
    def streams(self) -> list[Stream]:
        """Those that flow through this door, or are about to."""
        return self._under_way.streams

    @property
    def limits(self) -> tuple[Mapping[str, Quota], Used]:
        """The quotas that count now, and what is under way by each rule."""
        return self._rules.at(self._wall()).quotas, self._under_way

    def adopt(self, rules: CompiledRules) -> int:
        """Judge by these from now on; return how many streams ended since they may not flow any more."""
        self._rules = rules
        return self.reconsider()

    def reconsider(self) -> int:
        """End the streams that the rules of today, and of this time of day, do not allow any more."""
        rules = self._rules.at(self._wall())
        ended = 0
        for stream in self._under_way.streams:
            question = Question(stream.asked.direction, stream.action, stream.asked.asker)
            allowed, rule = rules.judge(question, stream.channel.name, self._places(stream.channel))
            if allowed:
                self._under_way.judged(stream, rule, self._rules.quotas.get(rule))
            else:
                ended += 1
                self._revoke(stream, rule)
        return ended

    def _revoke(self, stream: Stream, rule: str) -> None:
        """Each door ends it on its own side and says so beyond: there the rules may be others."""
        ending = StreamEnded(
            correlation=stream.correlation,
            origin=stream.asked.asker,
            channel=stream.channel,
            failure="refused",
            rule=rule,
        )
        log.info("stream.revoked", extra={"side": self._side, "channel": str(stream.channel), "rule": rule})
        self._hand_in(ending)
        self.send(ending)

    def _give_up(self, kind: str, number: int, rule: str = "", failure: Failure = "unavailable") -> None:
        """End a question of this side here; it is told to who asked, and the end of a stream beyond too."""
        question = self._questions.get((kind, self._sends, number))
        if question is None or kind == "invitation":  # that goes with its question
            return
        ending: NoAnswer | StreamEnded
        rule = rule or (BEYOND if self._recording else "audit")
        origin = question.asked.asker
        if question.channel is None:
            ending = NoAnswer(
                correlation=number, origin=origin, action=question.action, failure=failure, rule=rule
            )
        else:
            ending = StreamEnded(
                correlation=number, origin=origin, channel=question.channel, failure=failure, rule=rule
            )
        self._remember(ending, BACK[self._sends], rule)
        self._hand_in(ending)
        if isinstance(ending, StreamEnded):
            self.send(ending)

    def retry(self) -> None:
        """Let what is held pass, in its order, if the audit takes it. A failure makes no line."""
        while self._held:
            door, crossing = self._held[0]
            direction = self._sends if door == "send" else BACK[self._sends]
            verdict = self._judged(crossing, door, direction)
            verdict = self._written(crossing, verdict, door)
            if verdict.rule == "audit":
                return
            self._held.popleft()
            if verdict.passes is None:
                self._counted(crossing, verdict)
            elif door == "send":
                self._hand_over(crossing, verdict)
            else:
                self._deliver(crossing, verdict)

    def close(self) -> None:
        """Forget what is held: who it is for is going too. Nothing is tried any more."""
        self._held.clear()
        self._later = None

    def _deliver(self, crossing: Crossing, verdict: Verdict) -> None:
        assert verdict.passes is not None
        direction = BACK[self._sends]
        self._counted(crossing, verdict)
        self._remember(verdict.passes, direction, verdict.rule)
        if not self._hand_in(verdict.passes):
            self._tell_asker(crossing, "failed", "")
        for observer in self._observers:
            try:
                observer(direction, verdict.passes)
            except Exception:
                log.exception("crossing.observer_failed", extra={"kind": type(crossing).__name__})

    def _hand_in(self, crossing: Crossing) -> bool:
        """To the side behind this door; a bug there costs this crossing, not the link."""
        try:
            self.on_delivery(crossing)
        except Exception:
            log.exception("crossing.delivery_failed", extra={"kind": type(crossing).__name__})
            return False
        return True

    def _decide(self, crossing: Crossing, door: Door, direction: Direction) -> Verdict:
        """The verdict, recorded; a refusal is counted and logged here, a pass once it is handed over."""
        verdict = self._judged(crossing, door, direction)
        verdict = self._written(crossing, verdict, door)
        return verdict if verdict.passes is not None else self._counted(crossing, verdict)

    def _judged(self, crossing: Crossing, door: Door, direction: Direction) -> Verdict:
        asked = self._questions.asked(crossing, direction)
        rules = self._rules.at(self._wall())
        verdict = judge(rules, crossing, direction, self._places, asked, self._under_way)
        if type(verdict.passes) is CatalogBatch and door == "send":
            told = veiled(rules, verdict.passes, direction, self._places)
            verdict = replace(verdict, passes=told)
        if not self._recording_beyond and door == "send" and verdict.passes is not None:
            return _SHUT_BEYOND if asks_something(crossing) else verdict
        return verdict

    def _written(self, crossing: Crossing, verdict: Verdict, door: Door) -> Verdict:
        try:
            self._audit.cross(crossing, verdict, self._posts[door])
        except AuditUnavailable as error:
            self._shut()
            return Verdict(None, "audit", error.said)
        if not self._recording:
            self._open()
        return verdict

    def _counted(self, crossing: Crossing, verdict: Verdict) -> Verdict:
        counters = self.counters
        if type(crossing) is CatalogBatch:
            counters.rows_refused.update(verdict.refused)
        if verdict.passes is None:
            self._note_refusal(type(crossing).__name__, crossing.origin, verdict)
            return verdict
        counters.passed[verdict.rule] += 1
        if type(verdict.passes) is CatalogBatch:
            counters.rows_passed += len(verdict.passes.rows)
        return verdict

    def _note_refusal(self, kind: str, peer: PlatformId, verdict: Verdict) -> None:
        self.counters.refused[verdict.rule] += 1
        log.info(
            "crossing.refused",
            extra={
                "side": self._side,
                "kind": kind,
                "peer": peer,
                "rule": verdict.rule,
                "reason": verdict.reason,
            },
        )

    def _tell_asker(self, crossing: Crossing, failure: Literal["refused", "failed"], rule: str) -> None:
        """Who asked must not wait for an answer that cannot come."""
        number, origin = crossing.correlation, crossing.origin
        match crossing:
            case Ask(payload=payload):
                action = payload.action
                self.send(
                    NoAnswer(correlation=number, origin=origin, action=action, failure=failure, rule=rule)
                )
            case StreamOpen(channel=channel):
                self.send(
                    StreamEnded(
                        correlation=number, origin=origin, channel=channel, failure=failure, rule=rule
                    )
                )
            case _:
                pass

    def _remember(self, crossing: Crossing, direction: Direction, rule: str) -> None:
        asked = self._questions.asked(crossing, direction) if type(crossing) is StreamOpen else None
        self._under_way.remember(crossing, direction, rule, asked, self._rules.quotas.get(rule))
        self._questions.remember(crossing, direction)
        if type(crossing) is StreamOffered and self._metering is not None:
            self._metering.watch()


_DOWN: Final = Verdict(
    None, "link", saying("refusal.link", why=recognised("the link to the other side is down"))
)
_SHUT_BEYOND: Final = Verdict(None, BEYOND, saying("refusal.shut_beyond"))


def _nobody_tells() -> None:
    """The `on_anew` of a door without a side."""


def _undeliverable(crossing: Crossing) -> None:
    log.error("crossing.undeliverable", extra={"kind": type(crossing).__name__})
