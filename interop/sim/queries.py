"""Questions of the upper platform and their answers, matched by SN (GB/T 28181-2016 9.5)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interop.sim import xml
from interop.sim.reasons import Told, answered, unanswered
from interop.sim.registrar import Registered, Registrar
from interop.words import Saying, saying
from sip.aio.ask import ask
from sip.endpoint import Endpoint, Outgoing, Party
from sip.errors import SipError

if TYPE_CHECKING:
    from interop.sim.xml import Message

ANSWER_SECONDS: Final = 15.0


class QueryFailed(Told):
    """A query was refused (`status`), or not answered at all (0)."""

    def __init__(self, status: int, reason: str | Saying) -> None:
        super().__init__(answered(status, reason))
        self.status = status


@dataclass(frozen=True, slots=True)
class CatalogReport:
    """Items by tag, in the order of their coming, each id once. `complete`: as many as announced."""

    items: tuple[Mapping[str, str], ...]
    announced: int | None  # SumNum; None: no page came
    pages: int
    complete: bool

    def ids(self) -> tuple[str, ...]:
        return tuple(item["DeviceID"] for item in self.items)

    def channels(self) -> tuple[str, ...]:
        """Ids of kind 131 and 132: what can be played."""
        return tuple(name for name in self.ids() if len(name) == 20 and name[10:13] in {"131", "132"})


class Queries:
    """Asks, and takes the answers that `hear` is given."""

    def __init__(self, endpoint: Endpoint, registrar: Registrar, charset: str) -> None:
        self._endpoint = endpoint
        self._registrar = registrar
        self._charset = charset
        self._sn = 0
        self._waiting: dict[str, asyncio.Queue[Message]] = {}  # by SN

    def next_sn(self) -> int:
        """One of the row that all questions and notices of ours share."""
        self._sn += 1
        return self._sn

    def hear(self, message: "Message") -> None:
        """A Response from below; one that nobody waits for is dropped."""
        if (pages := self._waiting.get(message.sn)) is not None:
            pages.put_nowait(message)

    async def catalog(
        self,
        platform: str | None = None,
        *,
        target: str | None = None,
        quiet_seconds: float = 10.0,
        on_page: Callable[[int, int], None] = lambda items, announced: None,
    ) -> CatalogReport:
        """Ask for a catalog (of `target`, the platform itself when None) and collect its pages.

        Ends when as many different ids have come as announced, or `quiet_seconds` after the last page.
        `on_page` hears of each page: items so far, items announced.

        Raises:
            NotRegistered, QueryFailed: the query itself got no 200.
        """
        bound = self._registrar.need(platform)
        items: dict[str, Mapping[str, str]] = {}
        announced: int | None = None
        pages = 0
        async with self._query("Catalog", bound, target or bound.id) as answers:
            while announced is None or len(items) < announced:
                try:
                    async with asyncio.timeout(quiet_seconds):
                        page = await answers.get()
                except TimeoutError:
                    break
                pages += 1
                count = page.text("SumNum")
                announced = int(count) if count.isdecimal() and len(count) < 9 else announced or 0
                for item in xml.items(page):
                    items.setdefault(item.get("DeviceID", ""), item)
                on_page(len(items), announced)
        items.pop("", None)
        return CatalogReport(tuple(items.values()), announced, pages, announced == len(items))

    async def single(self, cmd_type: str, platform: str | None, target: str | None) -> dict[str, str]:
        """The one answer to a DeviceInfo or DeviceStatus: text by tag. Raises as `catalog`."""
        bound = self._registrar.need(platform)
        async with self._query(cmd_type, bound, target or bound.id) as answers:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = await answers.get()
            except TimeoutError:
                late = saying("why.late", what=cmd_type, seconds=f"{ANSWER_SECONDS:g}")
                raise QueryFailed(0, late) from None
        return {element.tag: (element.text or "").strip() for element in answer.tree}

    async def control(self, fields: xml.Fields, platform: str | None, target: str) -> int:
        """Send a DeviceControl that says `fields`; the status of its answer, 0 if there is none."""
        bound = self._registrar.need(platform)
        sn = str(self.next_sn())
        outgoing = self._message("Control", "DeviceControl", sn, bound, target, fields)
        try:
            return (await ask(self._endpoint, outgoing)).status
        except SipError:
            return 0

    def _message(
        self, root: str, cmd_type: str, sn: str, bound: Registered, target: str, fields: xml.Fields = ()
    ) -> Outgoing:
        return self._endpoint.request(
            "MESSAGE",
            Party(target, bound.domain),
            bound.address,
            body=xml.write(root, cmd_type, sn, target, xml.elements(fields), charset=self._charset),
            content_type=xml.CONTENT_TYPE,
        )

    @asynccontextmanager
    async def _query(
        self, cmd_type: str, bound: Registered, target: str
    ) -> AsyncIterator["asyncio.Queue[Message]"]:
        sn = str(self.next_sn())
        answers = self._waiting[sn] = asyncio.Queue()
        outgoing = self._message("Query", cmd_type, sn, bound, target)
        try:
            try:
                answer = await ask(self._endpoint, outgoing)
            except SipError as error:
                raise QueryFailed(0, unanswered(error)) from None
            if answer.status != 200:
                raise QueryFailed(answer.status, answer.reason)
            yield answers
        finally:
            del self._waiting[sn]
