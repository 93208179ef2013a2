"""Several gateways and platforms on one network in virtual time, above each other in any order."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.app import Gateway, Open, SideName
from interop.demo.sealing import seal
from interop.sim import xml
from interop.sim.camera import FakeFrames, FakeScreen
from interop.sim.catalog import Tree, sample_tree
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server, Terms
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from interop.sim.xml import Fields
from sip.endpoint import Party
from sip.events import Event, Kind
from tests.gateway.world import PASSWORD, WALL, Life, Link, open_calls
from tests.sip.network import Network

if TYPE_CHECKING:
    from gateway.store.memory import MemoryStore

CATALOG_SECONDS: Final = 30.0
"""How often everybody asks everybody below for all rows."""

ALLOWED: Final = ("catalog.rows", "notice.presence", "query.*")


class At(NamedTuple):
    """One side of one gateway."""

    number: int
    side: SideName

    @property
    def id(self) -> str:
        return f"44010{self.number}00002000000{1 if self.side == 'outer' else 2:03d}"

    @property
    def host(self) -> str:
        return f"10.0.{self.number}.{1 if self.side == 'outer' else 2}"


class Platform(NamedTuple):
    """A simulated one."""

    id: str
    host: str


Edge = tuple[At | Platform, At | Platform]
"""Who registers, and where."""


def lower(number: int) -> Platform:
    return Platform(f"44020{number}00002000000001", f"10.1.{number}.1")


def upper(number: int) -> Platform:
    return Platform(f"44030{number}00002000000001", f"10.2.{number}.1")


def written(number: int, edges: Sequence[Edge]) -> str:
    """The configuration of one gateway: everything may cross."""
    lines = ["[gateway]", 'state = "state"']
    for side in ("outer", "inner"):
        me = At(number, side)
        lines += [
            f"[{side}]",
            f'id = "{me.id}"',
            f'address = "{me.host}"',
            "port = 5060",
            "media_ports = [30000, 30398]",
            'networks = ["10.0.0.0/8"]',
        ]
        for below, above in edges:
            if above == me:
                lines += [f"[[{side}.lower]]", f'id = "{below.id}"', f"catalog_seconds = {CATALOG_SECONDS}"]
            if below == me:
                lines += [f"[[{side}.upper]]", f'id = "{above.id}"', f'host = "{above.host}"']
    for way in ("inward", "outward"):
        for action in ALLOWED:
            lines += [
                "[[rule]]",
                f'id = "{way}-{action.strip(".*")}"',
                'reason = "A ring."',
                f'direction = "{way}"',
                f'action = "{action}"',
                'channels = ["*"]',
                'verdict = "allow"',
            ]
    return "\n".join(lines)


def passwords(edges: Sequence[Edge]) -> dict[str, str]:
    """Of everybody there is: each member keeps those of its peers."""
    return dict.fromkeys((one.id for edge in edges for one in edge), PASSWORD)


@dataclass(frozen=True)
class Relisted(Tree):
    """What a member shows of what it was shown, in its own manner."""

    shown: list[Fields] = field(default_factory=list)

    def items(self, target: str) -> list[Fields] | None:
        return self.shown if target == self.owner else None


class Member:
    """One gateway of ours, with what outlives it."""

    def __init__(self, network: Network, folder: Path, link: Link, number: int) -> None:
        self._network, self._folder, self._link, self._number = network, folder, link, number
        self._stores: dict[SideName, MemoryStore] = {}
        self._lives: list[Life] = []

    async def start(self) -> Gateway:
        wire = Network(self._network.loop, self._number)
        life = Life(self._network, self._folder, self._link, self._stores, self._number, wire)
        self._lives.append(life)
        return await life.opened()

    async def kill(self, dead_seconds: float) -> Gateway:
        """kill -9 and a new start after a while."""
        self._lives[-1].die()
        await asyncio.sleep(dead_seconds)
        return await self.start()

    async def stop(self) -> None:
        for life in reversed(self._lives):
            await life.stop()


@dataclass(slots=True)
class Ring:
    network: Network
    gateways: dict[int, Gateway]
    lowers: dict[int, LowerPlatform]
    uppers: dict[int, UpperPlatform]
    trees: dict[int, Tree]
    asked: Counter[tuple[str, str, str]]
    """Queries on the wire by sender, receiver and command, repetitions of a datagram not counted."""
    members: dict[int, Member] = field(default_factory=dict)

    async def kill(self, number: int, dead_seconds: float = 5.0) -> None:
        """kill -9 of one gateway, both sides, and a new start on what it has stored."""
        self.gateways[number] = await self.members[number].kill(dead_seconds)

    def side(self, at: At) -> Open:
        gateway = self.gateways[at.number]
        return gateway.outer if at.side == "outer" else gateway.inner

    def cameras(self, numbers: Sequence[int] = ()) -> list[str]:
        """Of these lowers, of all by default, as they are."""
        return sorted(camera.id for of in numbers or self.trees for camera in self.trees[of].cameras)

    def change(self, number: int, cameras: int) -> None:
        """A lower has so many cameras from now on."""
        tree = self.trees[number] = sample_tree(lower(number).id, f"Platform {number}", cameras)
        self.lowers[number].answers.tell({tree.owner: tree})

    async def shown(self, number: int, platform: str) -> list[str]:
        """The cameras that an upper is shown, each as often as it is."""
        report = await self.uppers[number].catalog(platform)
        assert report.complete
        return sorted(report.channels())

    def rows(self) -> dict[str, int]:
        """How much each side holds."""
        return {
            f"{number} {side}": opened.side.tables().rows
            for number, gateway in self.gateways.items()
            for side, opened in (("outer", gateway.outer), ("inner", gateway.inner))
        }


@asynccontextmanager
async def ring(
    edges: Sequence[Edge], link: Link, *, foreign: "Sequence[Foreign]" = (), cameras: int = 3
) -> AsyncIterator[Ring]:
    """Everybody that the edges name, up and running."""
    network = Network(asyncio.get_running_loop(), 1)
    members = {member for edge in edges for member in edge}
    here = Ring(network, {}, {}, {}, {}, Counter())
    seen: set[tuple[str, str, str]] = set()

    def count(
        _at: float, payload: bytes, source: tuple[str, int], to: tuple[str, int], _arrives: bool
    ) -> None:
        text = payload.decode("gb18030", "replace")
        if not text.startswith("MESSAGE") or "<Query>" not in text:
            return
        call = text.partition("Call-ID:")[2].partition("\r\n")[0]
        if (source[0], to[0], call) not in seen:
            seen.add((source[0], to[0], call))
            here.asked[source[0], to[0], text.partition("<CmdType>")[2].partition("<")[0]] += 1

    network.taps.append(count)
    async with AsyncExitStack() as held:
        background = await held.enter_async_context(Tasks())
        for each in foreign:
            await each.open(held, network, background)
        for _, above in edges:
            if isinstance(above, Platform) and above not in (each.above for each in foreign):
                here.uppers[int(above.host.split(".")[2])] = await open_upper(
                    held, network, above, {b.id for b, a in edges if a == above}
                )
        for number in sorted({member.number for member in members if isinstance(member, At)}):
            folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
            (folder / "gateway.toml").write_text(written(number, edges))
            seal(folder / "gateway.toml", passwords(edges))
            member = here.members[number] = Member(network, folder, link, number)
            held.push_async_callback(member.stop)
            here.gateways[number] = await member.start()
        for below, above in edges:
            if (
                isinstance(below, Platform)
                and isinstance(above, At)
                and below not in (f.below for f in foreign)
            ):
                number = int(below.host.split(".")[2])
                tree = here.trees[number] = sample_tree(below.id, f"Platform {number}", cameras)
                here.lowers[number] = await open_lower(held, network, below, above, tree)
                background.start(here.lowers[number].run())
        for each in foreign:
            each.start(background)
        yield here


async def open_upper(held: AsyncExitStack, network: Network, me: Platform, below: set[str]) -> UpperPlatform:
    calls = await open_calls(held, network, Party(me.id, me.id[:10]), (me.host, 5060))
    return UpperPlatform(
        endpoint=calls.endpoint,
        calls=calls,
        net=network,
        media_host=me.host,
        passwords=dict.fromkeys(below, PASSWORD),
        open_screen=FakeScreen,
        wall=lambda: WALL + network.loop.time(),
    )


async def open_lower(
    held: AsyncExitStack, network: Network, me: Platform, above: At, tree: Tree
) -> LowerPlatform:
    calls = await open_calls(held, network, Party(me.id, me.id[:10]), (me.host, 5060))
    lower = LowerPlatform(
        endpoint=calls.endpoint,
        calls=calls,
        net=network,
        server=Server(above.id, above.id[:10], (above.host, 5060)),
        password=PASSWORD,
        media_host=me.host,
        name=tree.name,
        cameras=tree.cameras,
        branches=tree.branches,
        terms=Terms(),
        open_source=FakeFrames,
        wall=lambda: WALL + network.loop.time(),
    )
    lower.answers.tell({tree.owner: tree})
    return lower


class Foreign:
    """A platform of somebody else in the ring: it shows on all that it is shown, and never says whence.

    What it is asked about a device it asks on.

    `only`: digits 11 to 13 of what it shows, () for all.
    """

    def __init__(self, number: int, below: At, above: At, only: tuple[str, ...] = ()) -> None:
        self.above = Platform(f"44040{number}00002000000001", f"10.3.{number}.1")
        self.below = Platform(f"44040{number}00002000000001", f"10.3.{number}.2")
        self.edges: list[Edge] = [(below, self.above), (self.below, above)]
        self._of, self._at, self._only = below, above, only

    async def open(self, held: AsyncExitStack, network: Network, tasks: Tasks) -> None:
        self._upper = await open_upper(held, network, self.above, {self._of.id})
        self._tree = Relisted(self.below.id, "Foreign")
        self._lower = await open_lower(held, network, self.below, self._at, self._tree)
        self._endpoint = self._lower.answers._endpoint
        self._endpoint.handle(
            Kind.MESSAGE, lambda run: [(each.transaction, self._hear(each)) for each in run]
        )
        self._tasks = tasks

    def start(self, tasks: Tasks) -> None:
        tasks.start(self._lower.run())
        tasks.start(self._relist())

    def _hear(self, event: Event) -> int:
        query = xml.read(event.body)
        if query is None or query.cmd_type != "DeviceInfo" or query.device_id == self.below.id:
            return self._lower.answers._status(event)
        return 200 if self._tasks.start(self._ask_on(query)) else 503

    async def _ask_on(self, query: xml.Message) -> None:
        info = await self._upper.device_info(self._of.id, target=query.device_id)
        fields = [(tag, text) for tag, text in info.items() if tag not in {"CmdType", "SN", "DeviceID"}]
        self._endpoint.send(
            self._endpoint.request(
                "MESSAGE",
                Party(self._at.id, self._at.id[:10]),
                (self._at.host, 5060),
                body=self._lower.answers._response(query, xml.elements(fields)),
                content_type=xml.CONTENT_TYPE,
            )
        )

    async def _relist(self) -> None:
        await self._upper.wait_registered(self._of.id)
        while True:
            report = await self._upper.catalog(self._of.id)
            if report.complete:
                self._tree.shown[:] = [
                    self._item(item)
                    for item in report.items
                    if not self._only or item["DeviceID"][10:13] in self._only
                ]
            await asyncio.sleep(CATALOG_SECONDS)

    @staticmethod
    def _item(item: Mapping[str, str]) -> Fields:
        return [
            (tag, text) for tag, text in item.items() if tag not in {"ParentID", "BusinessGroupID", "Info"}
        ]
