"""The driver over real sockets on the loopback: the only tests here with the clock on the wall."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import pytest

from sip._native import Engine
from sip.aio.calls import Calls, Incoming, ask
from sip.aio.driver import MAX_EVENTS, Driver
from sip.endpoint import Endpoint, Party
from sip.errors import TransportFailed
from sip.events import Event, Kind, Reply

Ends = tuple[Engine, Endpoint, Engine, Endpoint]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, two = (Engine(("127.0.0.1", 0), "r", ["127.0.0.0/8"], bytes(32)) for _ in range(2))
    yield one, Endpoint(one, Party("here", "r")), two, Endpoint(two, Party("there", "r"))
    one.close()
    two.close()


async def test_requests_are_answered_over_real_sockets(ends: Ends) -> None:
    one, here, two, there = ends
    runs: list[int] = []

    def decide(run: list[Event]) -> list[Reply]:
        runs.append(len(run))
        return [(event.transaction, 200) for event in run]

    there.handle(Kind.MESSAGE, decide)
    with Driver(one, here), Driver(two, there):
        for _ in range(20):  # in windows, since a stock receive buffer holds some 90 datagrams
            asked = [here.request("MESSAGE", there.me, there.local) for _ in range(50)]
            answers = await asyncio.gather(*(ask(here, request) for request in asked))
            assert {answer.status for answer in answers} == {200}
    assert sum(runs) == 1000
    assert max(runs) <= MAX_EVENTS
    assert here.pending == 0


class Busy:
    """An engine that has a full batch for each of so many polls, and is readable until then."""

    def __init__(self, polls: int) -> None:
        self._left = polls
        self._there, self._here = socket.socketpair()
        self._here.send(b".")

    def fileno(self) -> int:
        return self._there.fileno()

    def poll(self, limit: int) -> list[Event]:
        self._left -= 1
        if not self._left:
            self._there.recv(1)
        return [cast("Event", None)] * limit

    def gather(self, seconds: float) -> None:
        """Senders like these make large batches by themselves."""

    def close(self) -> None:
        self._there.close()
        self._here.close()


class Turns(Endpoint):
    """Counts batches instead of deciding them."""

    batches = 0

    def dispatch(self, events: Sequence[Event]) -> None:
        self.batches += 1


async def test_a_turn_of_the_loop_takes_one_batch_however_many_wait(ends: Ends) -> None:
    busy, endpoint = Busy(40), Turns(ends[0], Party("here", "r"))
    seen = [0]
    with Driver(busy, endpoint):
        while endpoint.batches < 40:
            await asyncio.sleep(0)
            seen.append(endpoint.batches)
    busy.close()
    assert max(after - before for before, after in pairwise(seen)) == 1


async def test_what_can_not_leave_fails_at_once(ends: Ends) -> None:
    one, here, _, there = ends
    with Driver(one, here), pytest.raises(TransportFailed):
        await ask(here, here.request("MESSAGE", there.me, ("2001:db8::1", 5060)))


async def test_a_call_is_made_and_ended_over_real_sockets(ends: Ends) -> None:
    one, here, two, there = ends
    why: list[str] = []

    async def hold(incoming: Incoming) -> None:
        async with incoming.accept(b"v=0\r\n") as call:
            await call.acknowledged
            why.append(await call.ended)

    with Driver(one, here), Driver(two, there):
        async with Calls(there) as theirs, Calls(here) as ours:
            holding: list[asyncio.Task[None]] = []
            theirs.on_invite = lambda incoming: holding.append(asyncio.create_task(hold(incoming)))
            async with ours.place(here.request("INVITE", there.me, there.local)) as call:
                assert call.event.body == b"v=0\r\n"
                call.ack()
            await asyncio.gather(*holding)
        assert (ours.active, theirs.active, here.pending, there.pending) == (0, 0, 0, 0)
    assert why == ["bye"]
