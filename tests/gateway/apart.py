"""A gateway whose two sides can be told apart: what each sent, logged, stored and audited.

The sides run as ever in one process; whatever a side does, it does in a context that names it.
"""

import asyncio
import contextvars
import logging
import random
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from cascade.crossing import Crossing
from cascade.ports import Store
from gateway import config
from gateway.app import Gateway, SideName, Surroundings
from gateway.chamber.audit import Audit
from gateway.chamber.link import LinkEnd, Signal
from gateway.config import SideConfig
from gateway.credentials.holders import load_secrets
from gateway.log import ConsoleFormatter, JsonFormatter
from gateway.store.memory import MemoryStore
from gateway.store.sqlite.store import SqliteStore
from gateway.store.sqlite.writer import Database, Statement
from interop.demo.sealing import seal
from media.link import MediaLink
from media.relay import TrunkPlane
from sip.endpoint import Stack
from sip.events import Address
from tests.gateway import relays
from tests.gateway.markers import Haystack
from tests.gateway.relays import TwoRelays, relay_for
from tests.gateway.world import WALL, Link, attached
from tests.media.plane import CorePlane
from tests.sip.network import Network

P = ParamSpec("P")
T = TypeVar("T")

BETWEEN: Final = "?"
SIDE: contextvars.ContextVar[str] = contextvars.ContextVar("side", default=BETWEEN)
SIDES: Final[tuple[SideName, SideName]] = ("outer", "inner")
PREFIX: Final = {"outer": "203.0.113.", "inner": "198.51.100."}
OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}


def on_side(side: SideName, work: Callable[P, T]) -> Callable[P, T]:
    """`work`, done in a context that names the side, with all that it starts."""

    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        context = contextvars.copy_context()
        context.run(SIDE.set, side)
        return context.run(work, *args, **kwargs)

    return done


class SideEnd:
    """An end of a link whose arrivals are done on its side."""

    def __init__(self, end: LinkEnd, side: SideName) -> None:
        self._end = end
        self._side = side

    @property
    def up(self) -> bool:
        return self._end.up

    @property
    def linked(self) -> bool:
        return self._end.linked

    @property
    def on_signal(self) -> Callable[[Signal], None]:
        return self._end.on_signal

    @on_signal.setter
    def on_signal(self, gate: Callable[[Signal], None]) -> None:
        self._end.on_signal = on_side(self._side, gate)

    def signal(self, signal: Signal) -> None:
        self._end.signal(signal)

    @property
    def on_arrival(self) -> Callable[[Crossing], None]:
        return self._end.on_arrival

    @on_arrival.setter
    def on_arrival(self, gate: Callable[[Crossing], None]) -> None:
        self._end.on_arrival = on_side(self._side, gate)

    def deliver(self, crossing: Crossing) -> None:
        self._end.deliver(crossing)


class FileStore(SqliteStore):
    """The real files, written by their real threads; waiting for those takes no virtual time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for database in (self._state.database, self._catalog.database):
            vars(database)["flush"] = partial(_flush, database)
            vars(database)["written"] = partial(_written, database, database.written)


async def _flush(database: Database) -> None:
    written = threading.Event()
    database._queue.put(written.set)
    written.wait()


async def _written(
    database: Database, written: Callable[..., Awaitable[bool]], what: str, *statements: Statement
) -> bool:
    waiting = asyncio.ensure_future(written(what, *statements))
    await asyncio.sleep(0)  # it is queued
    await _flush(database)
    return await waiting


STORES: Final[dict[str, Callable[[Path], Store]]] = {
    "memory-store": lambda _folder: MemoryStore(),
    "sqlite-store": FileStore,
}


class Lines(logging.Handler):
    """Every record in both forms, by the side that wrote it; of what no side wrote, each side."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.by_side: dict[str, list[bytes]] = {side: [] for side in (*SIDES, BETWEEN)}

    def emit(self, record: logging.LogRecord) -> None:
        for form in (JsonFormatter(), ConsoleFormatter()):
            self.by_side[SIDE.get()].append(form.format(record).encode("utf-8", "backslashreplace"))

    def of(self, side: SideName) -> list[bytes]:
        return self.by_side[side] + self.by_side[BETWEEN]

    @contextmanager
    def taken(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(self)
            root.setLevel(level)


@dataclass(slots=True)
class Apart:
    """What can be looked at, while it runs and afterwards."""

    network: Network
    gateway: Gateway
    plane: CorePlane | TwoRelays
    folder: Path
    stores: dict[SideName, Store] = field(default_factory=dict)
    datagrams: list[tuple[bytes, Address, Address]] = field(default_factory=list)
    lines: Lines = field(default_factory=Lines)
    kept: dict[SideName, dict[str, dict[bytes, str]]] = field(default_factory=dict)

    def sent_by_us(self, side: SideName, address: str) -> list[bytes]:
        """Datagrams that our own address of that side sent."""
        return [payload for payload, source, _ in self.datagrams if source[0] == address]

    def collect(self) -> None:
        """Take down everything that either side holds or has written; again, it adds to that."""
        for side in SIDES:
            kept = self.kept.setdefault(side, {name: {} for name in KINDS})
            prefix = PREFIX[side]
            for payload, source, destination in self.datagrams:
                if source[0].startswith(prefix) or destination[0].startswith(prefix):
                    kept["network"].setdefault(payload, f"{source} to {destination}")
            kept["log"].update(dict.fromkeys(self.lines.of(side), "log"))
            store = self.stores[side]
            if isinstance(store, MemoryStore):
                kept["store"] |= {repr(value).encode(): name for name, value in vars(store).items()}
            for path in sorted((self.folder / side).rglob("*")):
                kept["names"][str(path.relative_to(self.folder)).encode()] = "file"
                if path.is_file():
                    kind = "audit" if path.name == "audit.jsonl" else "store"
                    kept[kind][written(path)] = path.name

    def haystacks(self, side: SideName) -> dict[str, Haystack]:
        return {kind: Haystack(pieces) for kind, pieces in self.kept[side].items()}


def written(path: Path) -> bytes:
    """What a file says. Of SQLite's log without its salts and checksums, which may look like anything.

    The index of that log (`-shm`) is nothing but numbers of pages and checksums.
    """
    data = bytearray(path.read_bytes())
    if path.name.endswith("-shm"):
        return b""
    if path.name.endswith("-wal") and len(data) >= WAL_HEAD:
        page = int.from_bytes(data[8:12], "big")
        data[16:WAL_HEAD] = bytes(16)
        for frame in range(WAL_HEAD, len(data) - WAL_FRAME + 1, WAL_FRAME + page):
            data[frame + 8 : frame + WAL_FRAME] = bytes(16)
    return bytes(data)


WAL_HEAD: Final = 32
WAL_FRAME: Final = 24
"""Bytes before the first frame of SQLite's log, and of each frame before its page."""

KINDS: Final = ("network", "log", "store", "audit", "names")


@asynccontextmanager
async def apart(
    link: Link, written: str, passwords: dict[str, str], store: Callable[[Path], Store], *, seed: int = 1
) -> AsyncIterator[Apart]:
    """Both sides up; when it is left everything that they wrote is collected once more."""
    loop = asyncio.get_running_loop()
    network = Network(loop, seed)
    plane = relay_for(link, network)
    stores: dict[SideName, Store] = {}
    datagrams: list[tuple[bytes, Address, Address]] = []
    network.taps.append(lambda _at, payload, source, to, _arrives: datagrams.append((payload, source, to)))
    lines = Lines()
    with tempfile.TemporaryDirectory() as name, lines.taken():
        folder = Path(name)
        (folder / "gateway.toml").write_text(written)
        seal(folder / "gateway.toml", passwords)

        def opened(side: SideName) -> Store:
            SIDE.set(side)  # from here on it is this side that is being built
            stores[side] = store(folder / side)
            return stores[side]

        def stack(side: SideName, own: SideConfig) -> Stack:
            made = network.stack(
                (own.address, own.port), own.domain or own.id[:10], own.networks, own.listeners()
            )
            network.unbind(made.local)
            network.bind(made.local, on_side(side, partial(made._receive, 0)))
            return made

        def audit(side: SideName) -> Audit:
            return Audit(folder / side / "audit.jsonl", wall=lambda: WALL + loop.time(), monotonic=loop.time)

        dice = random.Random(seed)

        def around(plane: TrunkPlane, media: MediaLink | None) -> Surroundings:
            return Surroundings(
                loop=loop,
                wall=lambda: WALL + loop.time(),
                random=dice,
                stack=stack,
                attach=attached,
                plane=plane,
                media=media,
                store=opened,
                audit=audit,
            )

        one, two = link(loop)
        ends = (SideEnd(one, "outer"), SideEnd(two, "inner"))
        loaded = config.load(folder / "gateway.toml")
        async with relays.opened(plane, loaded, load_secrets(loaded), around, ends) as gateway:
            SIDE.set(BETWEEN)
            here = Apart(network, gateway, plane, folder, stores, datagrams, lines)
            yield here
            for each in stores.values():
                await each.flush()
            here.collect()
        here.collect()
