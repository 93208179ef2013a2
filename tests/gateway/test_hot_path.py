"""What one message costs on the REGISTER and keepalive paths, counted in the real composition.

Counts, not seconds: blocks that the interpreter asks of its allocator, tasks, timers, queue items and
log records, for a batch of devices that speak at the same moment of virtual time.
"""

import asyncio
import gc
import logging
import re
import sys
from array import array
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import pytest

from cascade.manscdp import CONTENT_TYPE, keepalive
from sip._native import authorize
from sip.events import Address, Event, Reply
from tests.clock import run
from tests.gateway.world import LOWER_ID, OUTER, OUTER_ID, PASSWORD, World, text, world

FEW, MANY = 10, 60  # devices of a batch: the difference is without what a batch costs once
IDS: Final = [f"44010700001180{number:06d}" for number in range(MANY)]
GATEWAY: Final = (OUTER, 5060)
URI: Final = f"sip:{OUTER_ID}@{OUTER_ID[:10]}"

KEEPALIVE_BOUND: Final = 9.0
"""Blocks for a keepalive. Python 3.11 takes 8: the event, its number, From, source with its port, the moment
it arrived, the tuple of all this, and the answer; a few are free again soon."""

REFRESH_BOUND: Final = 28.0
"""Blocks for a refresh, which is two events. Python 3.11 takes 7 for the REGISTER that is challenged and
19 for the proven one: besides what a keepalive needs, a lease with three new moments, a record for the
store, a decision, and an answer of three headers. A task would take six more."""

PER_BATCH: Final = 8
"""Callbacks and timers that a whole batch may plan: to wake the faces' timers, to tell presence."""


@dataclass(slots=True)
class Cost:
    """What the deciders of a batch did. `blocks` are of the whole batch, temporary ones too."""

    events: int
    blocks: int
    tasks: int
    planned: int
    records: int
    replies: list[Reply]


@dataclass(frozen=True, slots=True)
class Path:
    """One path with a small and a large batch."""

    few: Cost
    many: Cost

    @property
    def blocks_an_event(self) -> float:
        """What one more message costs; its event, made before the deciders had it, is one block."""
        return (self.many.blocks - self.few.blocks) / (self.many.events - self.few.events) + 1


def count_blocks(work: Callable[[], None]) -> int:
    """Blocks that `work` asks of the interpreter's allocator, those it gives back at once included.

    `sys.getallocatedblocks` is noted before each opcode; what rises from one to the next was taken. Each
    call has a frame object more than without tracing, which is subtracted. The interpreter's own
    free lists are emptied first (a full collection does that), so a run does not profit from the last.
    """
    noted = array("q", bytes(8 * 1_000_000))
    steps = calls = 0
    blocks = sys.getallocatedblocks

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps, calls
        if event == "call":
            calls += 1
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        noted[steps] = blocks()
        steps += 1
        return trace

    before = sys.gettrace()
    gc.collect()
    gc.disable()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    rises = (noted[step + 1] - noted[step] for step in range(steps - 1))
    return sum(rise for rise in rises if rise > 0) - calls


class Records(logging.Handler):
    """Counts what would be logged, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class Bench:
    """Devices below the outer side that speak in one batch, and the cost of what their batch set off."""

    def __init__(self, around: World, patch: pytest.MonkeyPatch) -> None:
        self.world = around
        self._patch = patch
        self._endpoint = around.gateway.outer.side.endpoint
        self._dispatch = self._endpoint.dispatch
        self._challenges: dict[Address, str] = {}
        self._calls = 0
        self._expected = 0
        self._cost: Cost | None = None
        patch.setattr(self._endpoint, "dispatch", self._measured)
        around.network.taps.append(self._note)

    async def batch(self, messages: Sequence[tuple[bytes, Address]]) -> Cost:
        """Send all at once, and say what deciding them cost."""
        self._cost, self._expected = None, len(messages)
        for message, source in messages:
            self.world.network.carry(message, source, GATEWAY)
        await asyncio.sleep(0.05)
        assert self._cost is not None
        return self._cost

    async def register(self, devices: int) -> tuple[Cost, Cost]:
        """Their REGISTER: without proof, then with it."""
        self._calls += 1
        bare = await self.batch([self._register(number, 1, "") for number in range(devices)])
        proven = await self.batch(
            [self._register(number, 2, self._proof(number)) for number in range(devices)]
        )
        assert {reply[1] for reply in bare.replies} == {401}
        assert {reply[1] for reply in proven.replies} == {200}
        return bare, proven

    async def keep_alive(self, devices: int) -> Cost:
        self._calls += 1
        cost = await self.batch([self._keepalive(number) for number in range(devices)])
        assert {reply[1] for reply in cost.replies} == {200}
        return cost

    def _register(self, number: int, cseq: int, proof: str) -> tuple[bytes, Address]:
        to = f"sip:{IDS[number]}@{IDS[number][:10]}"
        return self._request("REGISTER", number, cseq, to, f"Expires: 3600\r\n{proof}", b"")

    def _keepalive(self, number: int) -> tuple[bytes, Address]:
        body = keepalive.write(sn=self._calls, device_id=IDS[number])
        return self._request("MESSAGE", number, 1, URI, f"Content-Type: {CONTENT_TYPE}\r\n", body)

    def _request(
        self, method: str, number: int, cseq: int, to: str, more: str, body: bytes
    ) -> tuple[bytes, Address]:
        device, (host, port) = IDS[number], home(number)
        call = f"{method}-{self._calls}-{number}"
        head = (
            f"{method} {URI} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{call}-{cseq}\r\n"
            f"From: <sip:{device}@{device[:10]}>;tag=1\r\nTo: <{to}>\r\nCall-ID: {call}\r\n"
            f"CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:{device}@{host}:{port}>\r\n"
            f"{more}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body, (host, port)

    def _proof(self, number: int) -> str:
        challenge = self._challenges[home(number)]
        value = authorize([challenge], IDS[number], PASSWORD, "REGISTER", URI, "0a4f113b", 1)
        return f"Authorization: {value}\r\n"

    def _note(self, _at: float, payload: bytes, _source: Address, to: Address, _arrives: bool) -> None:
        found = re.search(rb"WWW-Authenticate: (.*)\r\n", payload)
        if found:
            self._challenges[to] = found[1].decode()

    def _measured(self, events: list[Event]) -> None:
        if len(events) != self._expected:
            self._dispatch(events)  # somebody else's
            return
        replies: list[Reply] = []
        tasks: list[Any] = []
        planned: list[object] = []
        records = Records()
        root, loop = logging.getLogger(), asyncio.get_running_loop()
        with self._patch.context() as patch:
            patch.setattr(self._endpoint.stack, "reply", replies.extend)
            patch.setattr(loop, "create_task", lambda *given, **named: tasks.append(given))
            for way in ("call_soon", "call_at", "call_later"):
                patch.setattr(loop, way, noting(planned, getattr(loop, way)))
            level = root.level
            root.addHandler(records)
            root.setLevel(logging.DEBUG)
            try:
                blocks = count_blocks(lambda: self._dispatch(events))
            finally:
                root.setLevel(level)
                root.removeHandler(records)
        self._cost = Cost(len(events), blocks, len(tasks), len(planned), records.count, replies)
        self._endpoint.stack.reply(replies)


def noting(planned: list[object], plan: Callable[..., object]) -> Callable[..., object]:
    def note(*given: Any, **named: Any) -> object:
        planned.append(given)
        return plan(*given, **named)

    return note


def home(number: int) -> Address:
    """Where a device is: a hundred behind each address."""
    return f"203.0.113.{100 + number // 100}", 10_000 + number


@asynccontextmanager
async def bench(patch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    peers = "".join(f'[[outer.lower]]\nid = "{device}"\n\n' for device in IDS)
    written = text().replace("[inner]\n", f"{peers}[inner]\n", 1)
    passwords = dict.fromkeys([*IDS, LOWER_ID], PASSWORD)
    async with world(written=written, passwords=passwords) as around:
        await around.shown()
        yield Bench(around, patch)


@pytest.fixture(scope="module")
def paths() -> Mapping[str, Path]:
    """Each path; `first` registrations are apart: they make the leases and tell the other side."""

    async def scenario(patch: pytest.MonkeyPatch) -> Mapping[str, Path]:
        async with bench(patch) as devices:
            _, first = await devices.register(MANY)
            await devices.keep_alive(FEW)  # fills what is remembered of hosts
            bare, proven = zip(await devices.register(FEW), await devices.register(MANY), strict=True)
            alive = await devices.keep_alive(FEW), await devices.keep_alive(MANY)
            assert devices.world.gateway.outer.side.as_upper.bound == MANY + 1
        return {
            "first": Path(first, first),
            "bare": Path(*bare),
            "proven": Path(*proven),
            "keepalive": Path(*alive),
        }

    with pytest.MonkeyPatch.context() as patch:
        return run(scenario(patch))


def test_a_keepalive_costs_at_most_nine_blocks(paths: Mapping[str, Path]) -> None:
    assert paths["keepalive"].blocks_an_event <= KEEPALIVE_BOUND


def test_a_refresh_costs_at_most_fourteen_blocks_for_each_of_its_events(paths: Mapping[str, Path]) -> None:
    assert paths["bare"].blocks_an_event + paths["proven"].blocks_an_event <= REFRESH_BOUND


def test_no_message_makes_a_task_a_queue_item_or_a_log_record(paths: Mapping[str, Path]) -> None:
    costs = {name: path.many for name, path in paths.items()}
    assert {name: cost.tasks for name, cost in costs.items()} == dict.fromkeys(costs, 0)
    assert max(cost.planned for cost in costs.values()) <= PER_BATCH
    logged = {name: cost.records for name, cost in costs.items()}
    assert logged == {"first": 1, "bare": 0, "proven": 0, "keepalive": 0}  # one line: so many came


def test_the_counter_counts_what_is_taken_and_given_back_at_once() -> None:
    def take() -> None:
        for _ in range(100):
            bytearray(100)  # the object and its bytes

    assert 200 <= count_blocks(take) <= 210
