"""Client transactions (RFC 3261 section 17.1, RFC 6026) as one table: the oracle of `native/sip-core`.

This file holds every transition and every timer of both machines over UDP, and nothing else: no message,
no socket, no clock. The caller feeds inputs with `now` (seconds), and reads `outputs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final

T1: Final = 0.5
T2: Final = 4.0
T4: Final = 5.0
TIMER_C: Final = 180.0
TIMER_D: Final = 32.0


class State(Enum):
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


class Input(Enum):
    PROVISIONAL = auto()
    SUCCESS = auto()
    REFUSAL = auto()
    REPEAT = auto()  # timers A and E
    END = auto()  # timers B, C, D, F, K and M


class Output(Enum):
    SEND = auto()
    ACKNOWLEDGE = auto()
    TELL = auto()
    TIMEOUT = auto()


Table = Mapping[tuple[State, Input], tuple[tuple[Output, ...], State]]

NON_INVITE: Final[Table] = {
    (State.TRYING, Input.PROVISIONAL): ((Output.TELL,), State.PROCEEDING),
    (State.TRYING, Input.SUCCESS): ((Output.TELL,), State.COMPLETED),
    (State.TRYING, Input.REFUSAL): ((Output.TELL,), State.COMPLETED),
    (State.TRYING, Input.REPEAT): ((Output.SEND,), State.TRYING),
    (State.TRYING, Input.END): ((Output.TIMEOUT,), State.TERMINATED),
    (State.PROCEEDING, Input.PROVISIONAL): ((Output.TELL,), State.PROCEEDING),
    (State.PROCEEDING, Input.SUCCESS): ((Output.TELL,), State.COMPLETED),
    (State.PROCEEDING, Input.REFUSAL): ((Output.TELL,), State.COMPLETED),
    (State.PROCEEDING, Input.REPEAT): ((Output.SEND,), State.PROCEEDING),
    (State.PROCEEDING, Input.END): ((Output.TIMEOUT,), State.TERMINATED),
    (State.COMPLETED, Input.END): ((), State.TERMINATED),
}
INVITE: Final[Table] = {
    (State.TRYING, Input.PROVISIONAL): ((Output.TELL,), State.PROCEEDING),
    (State.TRYING, Input.SUCCESS): ((Output.TELL,), State.ACCEPTED),
    (State.TRYING, Input.REFUSAL): ((Output.ACKNOWLEDGE, Output.TELL), State.COMPLETED),
    (State.TRYING, Input.REPEAT): ((Output.SEND,), State.TRYING),
    (State.TRYING, Input.END): ((Output.TIMEOUT,), State.TERMINATED),
    (State.PROCEEDING, Input.PROVISIONAL): ((Output.TELL,), State.PROCEEDING),
    (State.PROCEEDING, Input.SUCCESS): ((Output.TELL,), State.ACCEPTED),
    (State.PROCEEDING, Input.REFUSAL): ((Output.ACKNOWLEDGE, Output.TELL), State.COMPLETED),
    (State.PROCEEDING, Input.END): ((Output.TIMEOUT,), State.TERMINATED),
    (State.COMPLETED, Input.REFUSAL): ((Output.ACKNOWLEDGE,), State.COMPLETED),
    (State.COMPLETED, Input.END): ((), State.TERMINATED),
    (State.ACCEPTED, Input.END): ((), State.TERMINATED),
}
"""What is not listed is absorbed: a repeated answer, a late one, a provisional one after the final."""


def at(moment: float) -> float:
    """A moment on the grid of microseconds, as the engine has it: 0.684 + 1.0 is 1.684."""
    return round(moment, 6)


@dataclass
class ClientTransaction:
    """One request of ours, sent at `now`. An accepted INVITE has no ACK to repeat here."""

    invite: bool
    now: float
    state: State = State.TRYING
    outputs: list[Output] = field(default_factory=lambda: [Output.SEND])
    interval: float = T1

    def __post_init__(self) -> None:
        self.repeat_at = at(self.now + T1)
        self.end_at = at(self.now + 64 * T1)

    def receive(self, given: Input, now: float) -> None:
        before = self.state
        self._step(given)
        if self.state is State.PROCEEDING and self.invite:
            self.repeat_at, self.end_at = inf, at(now + TIMER_C)
        if self.state is not before and self.state in (State.COMPLETED, State.ACCEPTED):
            self.repeat_at = inf
            wait = 64 * T1 if self.state is State.ACCEPTED else TIMER_D
            self.end_at = at(now + (wait if self.invite else T4))

    def advance(self, now: float) -> None:
        """A timer set again counts from `now`, not from when it was due: no burst after a hold-up."""
        if self.end_at <= now:
            self._step(Input.END)
            self.repeat_at = self.end_at = inf
        elif self.repeat_at <= now:
            self._step(Input.REPEAT)
            doubled = self.interval * 2
            self.interval = doubled if self.invite else min(doubled, T2)
            if self.state is State.PROCEEDING:
                self.interval = T2
            self.repeat_at = at(now + self.interval)

    def _step(self, given: Input) -> None:
        table = INVITE if self.invite else NON_INVITE
        outputs, self.state = table.get((self.state, given), ((), self.state))
        self.outputs += outputs
