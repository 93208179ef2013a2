"""Controls from above: what the near door says of them, and whose turn it is where several turn a camera.

The rest of a control is read after our answer. Not so that of a movement: how much right it claims and
whether it is a stop stand in its body, and whoever has to wait must hear it in the answer, since no other
one comes (decision 016). What is wrong in a body still costs no status.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from cascade.accepting import Refusal
from cascade.as_lower.answers import AskedAs
from cascade.as_lower.ptz_locks import Granted, Held, Hold, PtzLocks
from cascade.crossing import Notice
from cascade.errors import BadCommand
from cascade.limits import Bounds
from cascade.manscdp.device_control import read_priority
from cascade.manscdp.wire import Wire
from cascade.model.commands import Control
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.ids import ChannelId, PlatformId
from cascade.peers import PtzTerms, UpperPeer
from cascade.ports import Gate
from cascade.status import FAILURE_STATUS
from sip.errors import PeerError

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Control)

CONTROL_SECONDS: Final = 1.0
"""A control that is older is dropped: the operator has let go of the stick by then (6.5)."""

_HELD: Final = "another turns this camera, of an equal or higher level"
_LOST: Final = "one of a higher level has taken this camera over"


@dataclass(frozen=True, slots=True)
class Wait(Refusal):
    """A refusal of what may be tried again in so many seconds."""

    seconds: int = 1

    def headers(self, host: str) -> list[tuple[str, str]]:
        return [*Refusal.headers(self, host), ("Retry-After", str(self.seconds))]


class Controls:
    """Those of one face. `counts` is the face's."""

    def __init__(
        self,
        gate: Gate,
        terms: PtzTerms,
        *,
        loop: asyncio.AbstractEventLoop,
        correlation: Callable[[], int],
        counts: Counter[str],
        bounds: Bounds,
    ) -> None:
        self._gate = gate
        self._loop = loop
        self._correlation = correlation
        self._counts = counts
        self._locks = PtzLocks(terms, bounds)

    def take(self, wire: Wire[Any], body: bytes, upper: UpperPeer, names: AskedAs) -> int | Refusal:
        """The answer to a control whose head was read, and which then goes on if it may."""
        if not self._gate.admits(wire.meaning.action, names.channel, upper.id):
            return 503 if self._gate.shut else 403
        if wire.meaning is ControlPtz:
            return self._turn(wire, body, upper, names)
        self._loop.call_soon(self._read_and_pass, wire, body, upper.id, names)
        return 200

    def holds(self) -> list[tuple[ChannelId, Hold, float]]:
        """Which cameras are held now, and for how many seconds yet; for displays."""
        now = self._loop.time()
        return [(channel, hold, hold.until - now) for channel, hold in self._locks.holds(now)]

    def lose(self, upper: PlatformId) -> None:
        """The upper has no connection to us any more: its cameras stop, and are free."""
        for channel in self._locks.release(upper, self._loop.time()):
            self._stop(channel, upper)

    def left(self, channel: ChannelId, upper: PlatformId) -> None:
        """Nobody at that upper sees the channel any more: it stops, if that upper turns it."""
        if self._locks.halt(channel, upper, self._loop.time()):
            self._stop(channel, upper)

    def adopt(self, terms: PtzTerms) -> None:
        """Whoever turns a camera from now on has it for so long."""
        self._locks.terms = terms

    def clear(self) -> None:
        """Nobody is beyond who could turn anything; there, what moved is stopped."""
        self._locks.clear()

    def _turn(self, wire: Wire[ControlPtz], body: bytes, upper: UpperPeer, names: AskedAs) -> int | Refusal:
        control = self._read(wire, body, upper.id, names)
        if control is None:
            return 200
        claimed = read_priority(body)
        level = upper.ptz_level if claimed is None else min(claimed, upper.ptz_level)
        now = self._loop.time()
        channel = control.target
        match self._locks.ask(channel, upper.id, level, stop=control.movement.stop, now=now):
            case Granted() as granted:
                if granted.taken_from is not None:
                    self._note("ptz-taken", channel, upper.id, level, granted.taken_from)
                    self._counts["ptz_taken"] += 1
                self._loop.call_soon(self._pass_turn, control, upper.id, granted)
                return 200
            case Held(hold=hold, seconds=seconds, lost=lost):
                self._note("ptz-held", channel, upper.id, level, hold, seconds=str(seconds))
                self._counts["ptz_held"] += 1
                return Wait(FAILURE_STATUS["busy"], "held by another", _LOST if lost else _HELD, seconds)
            case _:
                self._counts["ptz_too_many"] += 1
                return Wait(503, "too many held", "too many cameras are being turned")

    def _pass_turn(self, control: ControlPtz, upper: PlatformId, granted: Granted) -> None:
        taken = granted.taken_from
        if taken is not None and taken.moving and not control.movement.stop:
            self._stop(control.target, upper)
        if not self._pass(control, upper):
            self._locks.undo(control.target, granted)

    def _stop(self, channel: ChannelId, upper: PlatformId) -> None:
        self._counts["ptz_stopped"] += 1
        self._pass(ControlPtz(target=channel, movement=Movement()), upper)

    def _note(
        self, event: str, channel: ChannelId, upper: PlatformId, level: int, other: Hold, **more: str
    ) -> None:
        about = {"channel": str(channel), "level": str(level), **more}
        self._gate.note(event, upper, **about, other=str(other.upper), other_level=str(other.level))
        log.info(event.replace("-", "."), extra={"peer": upper, **about, "other": other.upper})

    def _read_and_pass(self, wire: Wire[Control], body: bytes, upper: PlatformId, names: AskedAs) -> None:
        control = self._read(wire, body, upper, names)
        if control is not None:
            self._pass(control, upper)

    def _read(self, wire: Wire[C], body: bytes, upper: PlatformId, names: AskedAs) -> C | None:
        try:
            control = wire.read(body, names)
            if control.target != names.channel:  # of this the near door has heard nothing yet
                raise BadCommand(f"{control.target.name} is not {names.shown}, which the head names")
            return control
        except PeerError as error:
            self._counts["controls_unreadable"] += 1
            log.warning(
                "control.unreadable",
                extra={"peer": upper, "action": wire.meaning.action, "reason": str(error)},
            )
            return None

    def _pass(self, control: Control, upper: PlatformId) -> bool:
        verdict = self._gate.send(
            Notice(
                correlation=self._correlation(), origin=upper, seconds_left=CONTROL_SECONDS, payload=control
            )
        )
        passed = verdict.passes is not None
        self._counts["controls" if passed else "controls_lost"] += 1
        return passed
