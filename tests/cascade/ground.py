"""A gateway's two sides on a virtual network with a gate that only passes on, and scripted peers."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cascade.as_lower.face import AsLower
from cascade.as_upper.face import AsUpper
from cascade.credential import Credential
from cascade.crossing import Ask, Crossing, Notice, StreamControl, StreamEnded, StreamOffered, StreamOpen
from cascade.manscdp import CONTENT_TYPE, Head, heads
from cascade.model.commands import Control
from cascade.model.ids import ChannelId, GbId, PlatformId
from cascade.model.index import Index, Rows
from cascade.outbox import Letter
from cascade.peers import LowerPeer, UpperPeer, Us
from cascade.ports import Binding, KeptDialog, Verdict
from sip._native import authorize, ha1
from sip.aio.calls import Calls, ask
from sip.endpoint import Endpoint, Party
from sip.events import Address, Auth, Event, Kind, Reply
from tests.cascade.lowers import lower
from tests.sip.network import Network, VirtualStack

OURS: Final = "44010000002000000001"
NVR: Final = PlatformId("44010600001180000001")
UPPER: Final = PlatformId("44000000002000000001")
AT_OUTER: Final[Address] = ("203.0.113.20", 5060)
AT_INNER: Final[Address] = ("198.51.100.20", 5060)
AT_NVR: Final[Address] = ("203.0.113.50", 5060)
AT_UPPER: Final[Address] = ("198.51.100.10", 5060)
WALL: Final = 1_772_323_200.0  # 2026-03-01 08:00 in Beijing

US: Final = Us(id=GbId(OURS), domain="4401000000", name="Guangzhou", civil_code="440100")
LOWER_PEER: Final = lower(NVR, networks=("203.0.113.0/24",))
UPPER_PEER: Final = UpperPeer(
    id=UPPER, domain="4400000000", host=AT_UPPER[0], username=OURS, networks=("198.51.100.0/24",)
)


class Shelf:
    """A store that keeps everything in plain lists, and says what was written when."""

    def __init__(self) -> None:
        self.kept: dict[PlatformId, Binding] = {}
        self.legs: dict[str, KeptDialog] = {}
        self.triples: dict[PlatformId, list[tuple[str, str, str]]] = {}
        self.rows: dict[PlatformId, dict[str, dict[str, str]]] = {}
        self.found: list[PlatformId] = []
        self.turning: set[ChannelId] = set()
        self.flushed = 0
        self.post: dict[tuple[str, int], Letter] = {}
        self.last: list[int] = []

    async def bindings(self) -> list[Binding]:
        return list(self.kept.values())

    def save_bindings(self, bindings: Sequence[Binding], gone: Sequence[PlatformId] = ()) -> None:
        self.kept.update((binding.peer, binding) for binding in bindings)
        for peer in gone:
            self.kept.pop(peer, None)

    async def dialogs(self) -> list[KeptDialog]:
        return list(self.legs.values())

    def save_dialog(self, dialog: KeptDialog) -> None:
        self.legs[dialog.call_id] = dialog

    def drop_dialog(self, call_id: str, local_tag: str) -> None:
        del self.legs[call_id]

    async def written(self) -> None:
        return

    async def mapping(self, upper: PlatformId) -> list[tuple[str, str, str]]:
        return list(self.triples.get(upper, ()))

    def save_mapping(self, upper: PlatformId, triples: Sequence[tuple[str, str, str]]) -> None:
        self.triples.setdefault(upper, []).extend(triples)

    async def ring(self) -> list[PlatformId]:
        return self.found

    def save_ring(self, peer: PlatformId) -> None:
        self.found.append(peer)

    async def moving(self) -> list[ChannelId]:
        return sorted(self.turning, key=str)

    def save_moving(self, camera: ChannelId) -> None:
        self.turning.add(camera)

    def drop_moving(self, camera: ChannelId) -> None:
        self.turning.discard(camera)

    async def catalog(self) -> list[tuple[PlatformId, Rows]]:
        return [(peer, Rows.build(list(rows.values()))) for peer, rows in self.rows.items()]

    def save_rows(self, peer: PlatformId, present: Rows, gone: Sequence[str]) -> None:
        rows = self.rows.setdefault(peer, {})
        for number, name in enumerate(present.ids()):
            rows[name] = present.get(number)
        for name in gone:
            rows.pop(name, None)

    async def letters(self) -> list[Letter]:
        return list(self.post.values())

    async def taken(self) -> list[int]:
        return self.last

    async def keep(
        self, letters: Sequence[Letter], gone: Sequence[Letter] = (), *, taken: Sequence[int] = ()
    ) -> bool:
        self.post.update(((letter.to, letter.number), letter) for letter in letters)
        for letter in gone:
            self.post.pop((letter.to, letter.number), None)
        self.last += taken
        return True

    async def flush(self) -> None:
        self.flushed += 1

    async def close(self) -> None:
        return


class Door:
    """A gate that hands over in the next turn of the loop what `refuse` does not name."""

    def __init__(self) -> None:
        self.sent: list[Crossing] = []
        self.notes: list[tuple[str, PlatformId, dict[str, str]]] = []
        self.forbidden: set[str] = set()  # actions refused by their head
        self.refuse: Callable[[Crossing], bool] = lambda crossing: False
        self.deliver: Callable[[Crossing], None] = lambda crossing: None

    def send(self, crossing: Crossing) -> Verdict:
        if self.refuse(crossing):
            return Verdict(passes=None, rule="no")
        self.sent.append(crossing)
        asyncio.get_running_loop().call_soon(self.deliver, crossing)
        return Verdict(passes=crossing, rule="yes")

    @property
    def shut(self) -> bool:
        return False

    @property
    def away(self) -> bool:
        return False

    def admits(self, action: str, target: ChannelId, origin: PlatformId) -> bool:
        return action not in self.forbidden

    def note(self, event: str, peer: PlatformId, **details: str) -> None:
        self.notes.append((event, peer, details))

    def readmit(self, crossing: Crossing) -> Verdict:
        return Verdict(passes=None if self.refuse(crossing) else crossing, rule="again")


def ours(password: str | None) -> Credential | None:
    """By what we prove ourselves to the upper."""
    return None if password is None else Credential.of(OURS, "4400000000", password, 0.0)


class OneSide:
    """One network's half of the gateway: endpoint, calls, both faces and a router of five lines."""

    def __init__(
        self,
        network: Network,
        at: Address,
        *,
        lowers: Sequence[LowerPeer] = (),
        uppers: Sequence[UpperPeer] = (),
        passwords: dict[str, str] | None = None,
        store: Shelf | None = None,
    ) -> None:
        secrets = passwords or {}
        self.stack = network.stack(at, US.domain)
        for peer in lowers:
            self.stack.set_credentials(peer.id, [("MD5", ha1(peer.id, US.domain, secrets.get(peer.id, "?")))])
        self.endpoint = Endpoint(self.stack, Party(OURS, US.domain))
        self.stack.attach(self.endpoint)
        self.calls = Calls(self.endpoint)
        self.door = Door()
        self.store = store or Shelf()
        self.streams: list[Crossing] = []
        by_id = {peer.id: peer for peer in lowers}
        self.upper = AsUpper(
            us=US,
            endpoint=self.endpoint,
            calls=self.calls,
            peers=by_id,
            gate=self.door,
            index=Index(),
            store=self.store,
            media_address=at[0],
            loop=network.loop,
            wall=lambda: WALL + network.loop.time(),
            random=random.Random(1),
        )
        self.lower = AsLower(
            us=US,
            endpoint=self.endpoint,
            calls=self.calls,
            uppers={peer.id: peer for peer in uppers},
            lowers=by_id,
            secrets=lambda peer: ours(secrets.get(peer)),
            gate=self.door,
            index=Index(),
            store=self.store,
            media_address=at[0],
            loop=network.loop,
            wall=lambda: WALL + network.loop.time(),
            random=random.Random(2),
        )
        self.endpoint.handle(Kind.REGISTER, self.upper.registers)
        self.endpoint.handle(Kind.MESSAGE, self._messages)

    def _messages(self, events: list[Event]) -> Sequence[Reply]:
        replies: list[Reply] = []
        for event, head in zip(events, heads([event.body for event in events]), strict=True):
            face = next((each for each in (self.upper, self.lower) if each.owns(event)), None)
            if face is None or head is None:
                replies.append((event.transaction, 403 if face is None else 400))
            else:
                replies += face.messages([(event, head)])
        return replies

    def deliver(self, crossing: Crossing) -> None:
        match crossing:
            case Ask() | Notice(payload=Control()):
                self.upper.deliver(crossing)
            case StreamOpen() | StreamOffered() | StreamControl() | StreamEnded():
                self.streams.append(crossing)
            case _:
                self.lower.deliver(crossing)

    async def run(self) -> None:
        await self.upper.restore()
        await self.lower.restore()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.upper.run())
            tasks.create_task(self.lower.run())


def join(outer: OneSide, inner: OneSide) -> None:
    outer.door.deliver, inner.door.deliver = inner.deliver, outer.deliver


@dataclass
class Peer:
    """A scripted platform or device: it writes down what it hears and answers as it is told."""

    network: Network
    id: str
    at: Address
    server: Party
    server_at: Address
    realm: str = "4400000000"
    heard: list[tuple[Event, Head]] = field(default_factory=list)
    registers: list[Event] = field(default_factory=list)
    answer: Callable[[Event, Head], int] = lambda event, head: 200

    def __post_init__(self) -> None:
        self.stack: VirtualStack = self.network.stack(self.at, self.realm)
        self.endpoint = Endpoint(self.stack, Party(self.id, self.realm))
        self.calls = Calls(self.endpoint)
        self.expires_granted: int | None = None
        self.register_status = 0
        self.stack.attach(self.endpoint)
        self.endpoint.handle(Kind.MESSAGE, self._messages)
        self.endpoint.handle(Kind.REGISTER, self._registers)

    def _messages(self, events: list[Event]) -> Sequence[Reply]:
        replies: list[Reply] = []
        for event, head in zip(events, heads([event.body for event in events]), strict=True):
            assert head is not None
            self.heard.append((event, head))
            replies.append((event.transaction, self.answer(event, head)))
        return replies

    def _registers(self, events: list[Event]) -> Sequence[Reply]:
        self.registers += events
        replies: list[Reply] = []
        for event in events:
            status = self.register_status or (200 if event.auth == Auth.VERIFIED else 401)
            granted = event.expires if self.expires_granted is None else self.expires_granted
            replies.append((event.transaction, status, [("Expires", str(granted))] if status == 200 else []))
        return replies

    def of(self, cmd_type: str, root: str = "Query") -> list[tuple[Event, Head]]:
        return [(event, head) for event, head in self.heard if (head.root, head.cmd_type) == (root, cmd_type)]

    async def register(self, password: str, expires: int = 3600, *, user: str | None = None) -> Event:
        """REGISTER, meet the challenge, return the last answer."""
        answer = await self._register(expires, None, user)
        if answer.status == 401:
            value = authorize(
                answer.headers("WWW-Authenticate"),
                user or self.id,
                password,
                "REGISTER",
                self.server.uri,
                self.endpoint.token(),
            )
            answer = await self._register(expires, value, user)
        return answer

    async def _register(self, expires: int, authorization: str | None, user: str | None) -> Event:
        headers = [("Expires", str(expires))]
        if authorization is not None:
            headers.append(("Authorization", authorization))
        me = Party(user or self.id, self.realm)
        register = self.endpoint.request(
            "REGISTER", me, self.server_at, uri=self.server.uri, headers=headers, sender=me
        )
        return await ask(self.endpoint, register)

    async def tell(self, body: bytes | str, *, sender: str | None = None) -> int:
        """Send a MESSAGE; return the status of its answer."""
        message = self.endpoint.request(
            "MESSAGE",
            self.server,
            self.server_at,
            body=body if isinstance(body, bytes) else body.encode("gb18030"),
            content_type=CONTENT_TYPE,
            sender=Party(sender, self.realm) if sender else None,
        )
        return (await ask(self.endpoint, message)).status


def nvr(network: Network, at: Address = AT_NVR) -> Peer:
    return Peer(network, NVR, at, Party(OURS, US.domain), AT_OUTER, realm="4401060000")


def upper(network: Network) -> Peer:
    peer = Peer(network, UPPER, AT_UPPER, Party(OURS, "4400000000"), AT_INNER)
    peer.stack.set_credentials(OURS, [("MD5", ha1(OURS, "4400000000", "up"))])
    return peer


def keepalive(device: str, sn: int = 1) -> str:
    return (
        f'<?xml version="1.0" encoding="GB2312"?>\r\n<Notify><CmdType>Keepalive</CmdType><SN>{sn}</SN>'
        f"<DeviceID>{device}</DeviceID><Status>OK</Status></Notify>"
    )


def query(cmd_type: str, sn: int | str, device: str) -> str:
    return (
        f'<?xml version="1.0" encoding="GB2312"?>\r\n<Query><CmdType>{cmd_type}</CmdType><SN>{sn}</SN>'
        f"<DeviceID>{device}</DeviceID></Query>"
    )


def page(sn: str, sum_num: int, ids: Sequence[str], device: str = NVR) -> str:
    items = "".join(
        f"<Item><DeviceID>{each}</DeviceID><Name>Camera {each[-3:]}</Name><ParentID>{device}</ParentID>"
        "<Status>ON</Status></Item>"
        for each in ids
    )
    return (
        f'<?xml version="1.0" encoding="GB2312"?>\r\n<Response><CmdType>Catalog</CmdType><SN>{sn}</SN>'
        f"<DeviceID>{device}</DeviceID><SumNum>{sum_num}</SumNum>"
        f'<DeviceList Num="{len(ids)}">{items}</DeviceList></Response>'
    )


def cameras(count: int) -> list[str]:
    return [f"44010600001320{number:06d}" for number in range(1, count + 1)]
