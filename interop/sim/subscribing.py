"""Subscriptions as an upper platform makes them, and what it is told in them (9.11, RFC 6665)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from interop.sim import xml
from interop.sim.reasons import Told, answered, unanswered
from interop.sim.registrar import Registrar
from interop.words import Saying
from sip.aio.ask import ask
from sip.dialog import Dialog
from sip.endpoint import Endpoint, Party
from sip.errors import SipError
from sip.events import Event, Reply
from sip.subscription import read_state, seconds_of

NOTICE_SECONDS: Final = 40.0


class SubscribeRefused(Told):
    """A SUBSCRIBE that got no 200. `status` 0: no answer. `headers` are those of the answer that say why."""

    def __init__(self, status: int, reason: str | Saying, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(answered(status, reason))
        self.status = status
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Watch:
    """One subscription. `told` are the events of all items that came, in their order: (event, id)."""

    event: str
    body: bytes
    granted: int = 0
    dialog: Dialog | None = None  # None: no answer yet
    notices: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    alarms: list[xml.Message] = field(default_factory=list)
    ended: str = ""  # Subscription-State that ended it
    answer: int = 200  # what its notices are answered
    on_item: Callable[[str, str], None] = lambda event, name: None  # hears of each item that comes
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, notices: int, seconds: float = NOTICE_SECONDS) -> None:
        """Return once so many notices have come. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.notices < notices:
                self.arrived.clear()
                await self.arrived.wait()

    def take(self, state: str, message: xml.Message | None) -> None:
        self.notices += 1
        read = read_state(state)
        if read is not None and not read.active:
            self.ended = state
        if message is not None and message.cmd_type == "Alarm":
            self.alarms.append(message)
        elif message is not None:
            for item in xml.items(message):
                name, event = item.get("DeviceID", ""), item.get("Event", "")
                self.told.append((event, name))
                self.items[name] = {**self.items.get(name, {}), **item}
                self.on_item(event, name)
        self.arrived.set()


class Subscriptions:
    """Those of one upper platform; `decide` takes its NOTIFYs. `stray` counts those of no subscription."""

    def __init__(self, endpoint: Endpoint, registrar: Registrar, charset: str) -> None:
        self.stray = 0
        self._endpoint = endpoint
        self._registrar = registrar
        self._charset = charset
        self._sn = 700
        self._open: dict[tuple[str, str], Watch] = {}  # by Call-ID and our tag

    def decide(self, run: list[Event]) -> Sequence[Reply]:
        """Decider for `Kind.REQUEST`."""
        return [(event.transaction, self._notified(event)) for event in run]

    def _notified(self, event: Event) -> int:
        if event.method != "NOTIFY":
            return 405
        watch = self._open.get((event.call_id, event.to_tag))
        if watch is None:
            self.stray += 1
            return 481
        if watch.answer == 200:
            watch.take(event.header("Subscription-State") or "", xml.read(event.body))
        return watch.answer

    async def subscribe(
        self,
        cmd_type: str = "Catalog",
        *,
        via: str | None = None,
        target: str | None = None,
        expires: int | None = 600,
        event: str = "",
        fields: xml.Fields = (),
        empty: bool = False,
        on_item: Callable[[str, str], None] = lambda event, name: None,
    ) -> Watch:
        """Subscribe at the platform `via` (the only one when None) for `target` (itself when None).

        `empty`: without a body, so that the event alone says what for.

        Raises:
            NotRegistered, SubscribeRefused
        """
        bound = self._registrar.need(via)
        self._sn += 1
        rest = xml.elements(fields)
        body = xml.write("Query", cmd_type, self._sn, target or bound.id, rest, charset=self._charset)
        body = b"" if empty else body
        event = event or (f"Catalog;id={self._sn}" if cmd_type == "Catalog" else "presence")
        headers = [("Event", event), *([] if expires is None else [("Expires", str(expires))])]
        outgoing = self._endpoint.request(
            "SUBSCRIBE",
            Party(bound.id, bound.domain),
            bound.address,
            headers=headers,
            body=body,
            content_type=xml.CONTENT_TYPE if body else None,
        )
        key = (outgoing.call_id, outgoing.from_tag)
        watch = self._open[key] = Watch(event, body, on_item=on_item)  # a NOTIFY may come before the 200
        try:
            answer = await ask(self._endpoint, outgoing)
        except SipError as error:
            del self._open[key]
            raise SubscribeRefused(0, unanswered(error)) from None
        if answer.status >= 300:
            del self._open[key]
            named = {
                name: answer.header(name) or "" for name in ("Allow-Events", "Min-Expires", "Retry-After")
            }
            raise SubscribeRefused(answer.status, answer.reason, named)
        watch.dialog = Dialog.placed(outgoing, answer, self._endpoint.contact)
        watch.granted = seconds_of(answer.header("Expires")) or 0
        return watch

    async def refresh(self, watch: Watch, expires: int = 600) -> int:
        """Prolong it, or with 0 end it; the status of the answer, 0 if there is none."""
        if watch.dialog is None:
            raise ValueError("not answered yet")
        outgoing = watch.dialog.request(
            "SUBSCRIBE",
            headers=[("Event", watch.event), ("Expires", str(expires))],
            body=watch.body,
            content_type=xml.CONTENT_TYPE if watch.body else None,
        )
        try:
            answer = await ask(self._endpoint, outgoing)
        except SipError:
            return 0
        watch.granted = seconds_of(answer.header("Expires")) or 0
        return answer.status

    def forget(self, watch: Watch) -> None:
        """As after a restart: its notices are answered 481 from now on."""
        for key in [key for key, held in self._open.items() if held is watch]:
            del self._open[key]
