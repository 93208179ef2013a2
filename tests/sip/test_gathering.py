"""When datagrams are gathered, played out against senders of each kind in virtual time.

A turn costs `TURN` and a little for each message, and begins when something is there: at once, or with the
next pulse. What is asserted is what a sender and a processor would notice.
"""

import asyncio
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

import pytest

from sip._native import Engine, parse
from sip.aio.driver import Driver
from sip.aio.gathering import LONGEST_PATIENCE_SECONDS, PULSE_SECONDS, WINDOW_SECONDS, Gathering
from sip.endpoint import Endpoint, Party
from sip.events import Event
from tests.clock import run

TURN = 80e-6
EACH = 10e-6
PAUSE = 50e-6


@dataclass
class Served:
    """What became of the messages of a run of so many seconds."""

    seconds: float
    messages: int = 0
    turns: int = 0
    gathered: int = 0  # turns that a pulse began
    longest: float = 0.0  # wait of a message until its turn began

    @property
    def busy(self) -> float:
        """Part of a processor."""
        return (self.turns * TURN + self.messages * EACH) / self.seconds


def serve(seconds: float, first: list[float], again: float | None = None) -> Served:
    """Serve messages that come at these moments; with `again`, each sender sends so long after its answer."""
    policy, served, now, pulse = Gathering(0.0), Served(seconds), 0.0, 0.0
    waiting = sorted(first)  # which is a heap
    while waiting and now < seconds:
        now = max(now, pulse + policy.every if policy.every else waiting[0])
        served.gathered += policy.every > 0
        pulse, taken = now, 0
        while waiting and waiting[0] <= pulse:
            served.longest = max(served.longest, pulse - heappop(waiting))
            taken += 1
        now += TURN + taken * EACH
        served.turns += 1
        served.messages += taken
        for _ in range(taken if again is not None else 0):
            heappush(waiting, now + (again or 0.0))
        policy.turned(taken, now)
    return served


def evenly(rate: int, seconds: int) -> Served:
    """Many senders, none of whom waits for another's answer."""
    return serve(seconds, [number / rate for number in range(rate * seconds)])


def asking(senders: int, seconds: int) -> Served:
    """So many senders, each of whom sends again once it has its answer."""
    return serve(seconds, [0.0] * senders, again=PAUSE)


def test_nobody_waits_while_messages_are_few() -> None:
    served = evenly(rate=300, seconds=10)
    assert served.gathered == 0
    assert served.longest <= TURN + EACH


@pytest.mark.parametrize("rate", [1833, 5000])
def test_many_messages_share_turns_and_none_waits_longer_than_a_pulse(rate: int) -> None:
    served = evenly(rate, seconds=10)
    assert served.busy < 0.6 * rate * (TURN + EACH)
    assert served.longest <= PULSE_SECONDS + TURN + 20 * EACH
    assert served.messages >= 9.9 * rate


def test_more_than_could_be_served_one_by_one_are_served_in_time() -> None:
    served = evenly(rate=16_000, seconds=10)  # alone, each would take a turn of 90 µs
    assert served.busy < 0.3
    assert served.longest <= PULSE_SECONDS + TURN + 60 * EACH


@pytest.mark.parametrize("senders", [1, 2, 64])
def test_who_waits_for_each_answer_is_not_made_to_wait(senders: int) -> None:
    served = asking(senders, seconds=100)
    alone = 100.0 / (TURN + senders * EACH + PAUSE) * senders
    assert served.messages > 0.95 * alone
    tries = 8  # the pause doubles: 1, 2, 4, … seconds
    assert served.gathered <= tries * (WINDOW_SECONDS / PULSE_SECONDS + 2)


def test_gathering_ends_with_the_load() -> None:
    policy = Gathering(0.0)
    now = 0.0
    while not policy.every:
        now += 0.0005
        policy.turned(1, now)
    begun = now
    while policy.every:
        now += policy.every
        policy.turned(0, now)
    assert now - begun <= WINDOW_SECONDS + 2 * PULSE_SECONDS


def test_after_a_pause_it_is_tried_again() -> None:
    policy = Gathering(0.0)
    tries: list[float] = []
    now = 0.0
    while now < 4 * LONGEST_PATIENCE_SECONDS:
        now += policy.every or 0.0004
        if policy.turned(1, now) and policy.every:
            tries.append(now)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert all(later > 1.9 * earlier for earlier, later in pairwise(pauses[:6]))
    assert LONGEST_PATIENCE_SECONDS < pauses[-1] < LONGEST_PATIENCE_SECONDS + 1.0


STRAY = parse(
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class Scripted:
    """An engine that gives so many events a poll, and notes how it is to gather."""

    events: int = 1
    told: list[float] = field(default_factory=list)

    def fileno(self) -> int:
        return 99

    def poll(self, limit: int) -> list[Event]:
        return [STRAY] * self.events

    def gather(self, seconds: float) -> None:
        self.told.append(seconds)


def test_the_driver_has_the_engine_gather_while_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[float]:
        readers: dict[int, Any] = {}
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "add_reader", readers.__setitem__)
        monkeypatch.setattr(loop, "remove_reader", readers.pop)
        unused = Engine(("127.0.0.1", 0), "r", ["127.0.0.0/8"], bytes(32))
        engine = Scripted()
        with Driver(engine, Endpoint(unused, Party("here", "r"))):
            for pause, events in [(0.0005, 1)] * 200 + [(PULSE_SECONDS, 4)] * 100 + [(PULSE_SECONDS, 0)] * 50:
                await asyncio.sleep(pause)
                engine.events = events
                readers[engine.fileno()]()
        unused.close()
        assert readers == {}
        return engine.told

    assert run(scenario()) == [PULSE_SECONDS, 0.0]
