"""What the interpreter holds of each peer, counted in bytes: a province has a hundred thousand of them.

What native code holds is not seen here; `make bench ARGS=storm` prints all of it, stage by stage.
"""

import asyncio
import gc
import re
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from gateway.config import examine
from sip._native import authorize
from sip.events import Address
from tests.clock import run
from tests.gateway.world import LOWER_ID, OUTER, OUTER_ID, PASSWORD, World, settings_in, text, world

FEW, MANY = 200, 1200  # the difference is without what there is once
IDS: Final = [f"44010700001180{number:06d}" for number in range(MANY)]
GATEWAY: Final = (OUTER, 5060)
URI: Final = f"sip:{OUTER_ID}@{OUTER_ID[:10]}"

ADMITTED_BOUND: Final = 320.0
"""Bytes for a peer that a rule admits. Python 3.11 takes 293: its id with a
place in three tables, its peer and its secret, of which 80 are hashes."""

REGISTERED_BOUND: Final = 960.0
"""Bytes more for one that is registered and was asked for its catalog. Python 3.11 takes 900, of which 80 are
a row that the test's store keeps, and the real one writes: its lease, where it is and when it is due, and
when its catalog is."""

FLEET: Final = """
[[outer.admit]]
name = "fleet"
region = "44010700"
keepalive_seconds = 3600
"""
OURS: Final = [f"*/{room}/*" for room in ("cascade", "gateway", "sip")]


def written() -> str:
    return text(**{"[inner]\n": f"{FLEET}\n[inner]\n"})


def held(make: Callable[[], object]) -> int:
    """Bytes of what `make` returns, and of what it leaves behind."""
    gc.collect()
    tracemalloc.start()
    kept = make()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return held


def admitted(count: int) -> int:
    def look(file: Path) -> tuple[object, ...]:
        examined = examine(file)
        assert examined.config is not None
        assert len(examined.config.outer.lower) == count + 1
        return examined, examined.config.outer.lowers("outer")

    with settings_in(written(), dict.fromkeys([*IDS[:count], LOWER_ID], PASSWORD)) as folder:
        look(folder / "gateway.toml")  # whatever is made once
        return held(lambda: look(folder / "gateway.toml"))


def test_a_peer_that_a_rule_admits_takes_less_than_half_a_kilobyte() -> None:
    each = (admitted(MANY) - admitted(FEW)) / (MANY - FEW)
    assert each <= ADMITTED_BOUND, f"{each:.0f} bytes"


class Devices:
    """They register; nobody answers anything else."""

    def __init__(self, around: World) -> None:
        self._world = around
        self._challenges: dict[Address, str] = {}
        self._calls = count()
        around.network.taps.append(self._note)

    async def register(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._send(number, 1, "")
        await asyncio.sleep(0.5)
        for number in numbers:
            challenge = self._challenges.pop(home(number))
            value = authorize([challenge], IDS[number], PASSWORD, "REGISTER", URI, "0a4f113b", 1)
            self._send(number, 2, f"Authorization: {value}\r\n")
        await asyncio.sleep(0.5)

    def _send(self, number: int, cseq: int, more: str) -> None:
        device, (host, port), call = IDS[number], home(number), next(self._calls)
        message = (
            f"REGISTER {URI} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bKm{call}\r\n"
            f"From: <sip:{device}@{device[:10]}>;tag=1\r\nTo: <sip:{device}@{device[:10]}>\r\n"
            f"Call-ID: {number}\r\nCSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:{device}@{host}:{port}>\r\nExpires: 7200\r\n{more}Content-Length: 0\r\n\r\n"
        )
        self._world.network.carry(message.encode(), (host, port), GATEWAY)

    def _note(self, _at: float, payload: bytes, _source: Address, to: Address, _arrives: bool) -> None:
        if found := re.search(rb"WWW-Authenticate: (.*)\r\n", payload):
            self._challenges[to] = found[1].decode()


def home(number: int) -> Address:
    """Where a device is: a hundred behind each address."""
    return f"203.0.113.{100 + number // 100}", 10_000 + number


def ours() -> int:
    """Bytes that lines of the product asked for; what a test's store keeps on no disk is not counted."""
    gc.collect()
    filters: list[Any] = [tracemalloc.Filter(True, pattern) for pattern in OURS]
    without = tracemalloc.Filter(False, "*/tests/*"), tracemalloc.Filter(False, "*/gateway/store/memory.py")
    found = tracemalloc.take_snapshot().filter_traces(filters).filter_traces(without)
    return sum(trace.size for trace in found.traces)


def test_a_registered_peer_takes_about_a_kilobyte_more() -> None:
    async def scenario() -> float:
        passwords = dict.fromkeys([*IDS, LOWER_ID], PASSWORD)
        async with world(written=written(), passwords=passwords) as around:
            await around.shown()
            devices = Devices(around)
            tracemalloc.start()
            try:
                await devices.register(range(FEW))
                await asyncio.sleep(600.0)  # all were asked for their catalogs, and again
                before = ours()
                await devices.register(range(FEW, MANY))
                await asyncio.sleep(600.0)
                assert around.gateway.outer.side.as_upper.bound == MANY + 1
                return (ours() - before) / (MANY - FEW)
            finally:
                tracemalloc.stop()

    each = run(scenario())
    assert each <= REGISTERED_BOUND, f"{each:.0f} bytes"
