"""Subscriptions as a lower platform takes them, and what it tells in them (9.11, RFC 6665)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from interop.sim import xml
from interop.sim.membership import Server
from interop.sim.tasks import Tasks
from sip.aio.ask import ask
from sip.dialog import Dialog, key_of
from sip.endpoint import Endpoint
from sip.errors import SipError
from sip.events import Event, Reply
from sip.subscription import SubscriptionState, seconds_of

USUAL_SECONDS: Final = 3600


@dataclass(slots=True)
class Subscriber:
    """One dialog of the platform above."""

    dialog: Dialog
    cmd_type: str
    event: str
    until: float


class Notifier:
    """Takes SUBSCRIBEs of the server above and of nobody else. `refuse` is what it answers instead of 200."""

    def __init__(self, endpoint: Endpoint, server: Server, tasks: Tasks, charset: str) -> None:
        self.refuse: int | None = None
        self.grant: int | None = None  # seconds, whatever was asked for
        self.asked: list[tuple[str, int]] = []  # CmdType and Expires of each SUBSCRIBE
        self.answers: list[int] = []  # of our notices
        self._endpoint = endpoint
        self._server = server
        self._tasks = tasks
        self._charset = charset
        self._loop = asyncio.get_running_loop()
        self._open: dict[tuple[str, str, str], Subscriber] = {}
        self._sn = 800

    def subscribed(self, cmd_type: str = "Catalog") -> list[Subscriber]:
        """Those that have not run out."""
        now = self._loop.time()
        return [one for one in self._open.values() if one.cmd_type == cmd_type and now < one.until]

    def forget(self) -> None:
        """As after a restart without memory: a refresh is answered 481."""
        self._open.clear()

    def decide(self, run: list[Event]) -> Sequence[Reply]:
        """Decider for `Kind.REQUEST`."""
        return [self._subscribe(event) for event in run]

    def _subscribe(self, event: Event) -> Reply:
        if event.method != "SUBSCRIBE":
            return (event.transaction, 405)
        if event.source[0] != self._server.address[0]:
            return (event.transaction, 403)
        query = xml.read(event.body)
        expires = seconds_of(event.header("Expires"))
        expires = USUAL_SECONDS if expires is None else expires
        expires = self.grant if self.grant is not None and expires else expires
        self.asked.append((query.cmd_type if query else "", expires))
        if self.refuse is not None:
            return (event.transaction, self.refuse)
        found = self._open.get(key_of(event)) if event.to_tag else None
        if event.to_tag and found is None:
            return (event.transaction, 481)
        if found is None:
            if query is None:
                return (event.transaction, 400)
            dialog = Dialog.accepted(event, self._endpoint.contact)
            found = Subscriber(dialog, query.cmd_type, event.header("Event") or "", 0.0)
            self._open[dialog.key] = found
        found.until = self._loop.time() + expires
        if not expires:
            del self._open[found.dialog.key]
        self._tasks.start(self._greet(found, over=not expires))
        headers = [("Expires", str(expires)), ("Event", found.event), ("Contact", self._endpoint.contact)]
        return (event.transaction, 200, headers)

    async def tell(self, items: Sequence[xml.Fields], *, device: str = "") -> int:
        """Tell every subscriber of the catalog of these items, which say their Event; the last answer."""
        self._sn += 1
        device = device or self._endpoint.me.user
        rest = xml.elements([("SumNum", str(len(items)))]) + xml.device_list(items)
        body = xml.write("Notify", "Catalog", self._sn, device, rest, charset=self._charset)
        return await self.send(body)

    async def send(self, body: bytes, cmd_type: str = "Catalog") -> int:
        """Send a body in every such subscription; the status of the last answer, 0 if there is none."""
        status = 0
        for one in self.subscribed(cmd_type):
            status = await self._send(one, body)
        return status

    async def end(self, reason: str, retry_after: int | None = None) -> None:
        """Say that every subscription is over."""
        over, self._open = [*self._open.values()], {}
        tail = "" if retry_after is None else f";retry-after={retry_after}"
        for one in over:
            await self._send(one, b"", state=f"terminated;reason={reason}{tail}")

    async def _greet(self, one: Subscriber, *, over: bool) -> None:
        """The notice that each SUBSCRIBE is owed."""
        await self._send(one, b"", over=over)

    async def _send(self, one: Subscriber, body: bytes, *, over: bool = False, state: str = "") -> int:
        left = max(0, int(one.until - self._loop.time()))
        _, said = (SubscriptionState(False) if over else SubscriptionState(True, left)).header
        outgoing = one.dialog.request(
            "NOTIFY",
            headers=[("Event", one.event), ("Subscription-State", state or said)],
            body=body,
            content_type=xml.CONTENT_TYPE if body else None,
        )
        try:
            status = (await ask(self._endpoint, outgoing)).status
        except SipError:
            status = 0
        self.answers.append(status)
        return status


def changed(event: str, item: xml.Fields) -> xml.Fields:
    """An item that says what happened to it; ON, OFF, VLOST, DEFECT and DEL keep their id alone (Q38)."""
    (tag, name), *rest = item
    return [(tag, name), ("Event", event), *(rest if event in {"ADD", "UPDATE"} else [])]
