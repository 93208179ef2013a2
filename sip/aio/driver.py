"""The driver: joins the engine's descriptor to the loop, and knows nothing else."""

import asyncio
from typing import Final, Protocol

from sip.aio.gathering import Gathering
from sip.aio.streams import Streams
from sip.endpoint import Endpoint
from sip.events import Event

MAX_EVENTS: Final = 256
"""Events decided before other callbacks of the loop get their turn."""


class Pollable(Protocol):
    """`sip._native.Engine`: `fileno` is readable while it has something for us."""

    def fileno(self) -> int: ...
    def poll(self, limit: int) -> list[Event]: ...
    def gather(self, seconds: float) -> None: ...


class Driver:
    """Wake, take a batch, let the endpoint decide, hand all answers back. Use `with`, or the loop holds it.

    `streams` holds its connections, if it has any. One batch a turn of the loop: the descriptor stays
    readable while more waits.
    The engine's clock is that of the loop (CLOCK_MONOTONIC), so `arrived` compares with `loop.time()`.
    """

    def __init__(self, engine: Pollable, endpoint: Endpoint, streams: Streams | None = None) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._streams = streams
        self._loop = asyncio.get_running_loop()
        self._gathering = Gathering(self._loop.time())

    def __enter__(self) -> "Driver":
        self._loop.add_reader(self._engine.fileno(), self._poll)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._engine.fileno())

    def _poll(self) -> None:
        events = self._engine.poll(MAX_EVENTS)
        self._endpoint.dispatch(events)
        if self._streams is not None:
            self._streams.carry_out()
        if self._gathering.turned(len(events), self._loop.time()):
            self._engine.gather(self._gathering.every)
