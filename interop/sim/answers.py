"""Queries from above and their answers, paged (GB/T 28181-2016 9.5, annex A.2.4, A.2.6)."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from interop.sim import xml
from interop.sim.catalog import Tree
from interop.sim.membership import Server
from interop.sim.picture import BEIJING
from interop.sim.reasons import unanswered
from interop.sim.tasks import Tasks
from interop.sim.xml import Message
from sip.aio.ask import ask
from sip.endpoint import Endpoint, Party
from sip.errors import SipError
from sip.events import Event, Reply

log = logging.getLogger(__name__)

PAGE_ITEMS: Final = 4
"""Items of a catalog in one MESSAGE: some 2.5 kB, two fragments on an Ethernet."""


class Answers:
    """Answers MESSAGEs for the identities in `trees`, by owner's id. Only the server above may ask.

    `on_broadcast` gives the status of a Notify/Broadcast, and does the rest; `on_alarm_answer` hears of
    each Response/Alarm.

    Pages go one by one, each after the 200 to the one before, as far as `answer` is awaited in a task.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        server: Server,
        trees: Mapping[str, Tree],
        domain: str,
        tasks: Tasks,
        *,
        charset: str = "GB2312",
        page_items: int = PAGE_ITEMS,
        wall: Callable[[], float],
    ) -> None:
        self.queries = 0
        self.controls: list[tuple[str, str]] = []  # id and PTZCmd ("" for another control), as they came
        self.pages = 0
        self.on_broadcast: Callable[[Message, Party], int] = _deaf
        self.on_alarm_answer: Callable[[Message], None] = _unheard
        self.unanswered = 0  # answers that were given up because a page got no 200
        self._endpoint = endpoint
        self._server = server
        self._domain = domain
        self._tasks = tasks
        self._charset = charset
        self._page_items = page_items
        self._wall = wall
        self.tell(trees)

    def tell(self, trees: Mapping[str, Tree]) -> None:
        """Answer from these trees from now on."""
        self._trees = trees
        self._homes = {camera.id: tree for tree in trees.values() for camera in tree.cameras}
        for tree in trees.values():
            self._homes |= {branch.id: tree for branch in tree.branches}
            self._homes |= {speaker.id: tree for speaker in tree.speakers}
        self._homes |= trees

    def decide(self, run: list[Event]) -> Sequence[Reply]:
        """Decider for `Kind.MESSAGE`: 200 at once, the business answer as a MESSAGE of its own."""
        return [(event.transaction, self._status(event)) for event in run]

    def _status(self, event: Event) -> int:
        if event.source[0] != self._server.address[0]:
            return 403
        message = xml.read(event.body)
        if message is None:
            return 400
        if (message.root, message.cmd_type) == ("Notify", "Broadcast"):
            return self.on_broadcast(message, Party(event.from_user, self._server.domain))
        if (message.root, message.cmd_type) == ("Response", "Alarm"):
            self.on_alarm_answer(message)
        if message.root not in ("Query", "Control"):
            return 200  # notices are taken note of
        tree = self._homes.get(message.device_id)
        if tree is None:
            return 404
        if message.root == "Control":  # nothing moves here, but what was asked for is written down
            self.controls.append((message.device_id, message.text("PTZCmd")))
            return 200
        self.queries += 1
        return 200 if self._tasks.start(self._answer(tree, message)) else 503

    async def _answer(self, tree: Tree, query: Message) -> None:
        bodies = self._catalog(tree, query) if query.cmd_type == "Catalog" else self._single(tree, query)
        me = Party(tree.owner, self._domain)
        for body in bodies:
            outgoing = self._endpoint.request(
                "MESSAGE",
                self._server.party,
                self._server.address,
                body=body,
                content_type=xml.CONTENT_TYPE,
                sender=me,
            )
            try:
                status = (await ask(self._endpoint, outgoing)).status
            except SipError as error:
                log.warning("sim.page_unanswered", extra={"owner": tree.owner, "reason": unanswered(error)})
                status = 0
            if status != 200:
                self.unanswered += 1
                return
            self.pages += 1

    def _catalog(self, tree: Tree, query: Message) -> list[bytes]:
        items = tree.items(query.device_id) or []
        count = xml.elements([("SumNum", str(len(items)))])
        pages = [items[at : at + self._page_items] for at in range(0, len(items), self._page_items)]
        lists = [xml.device_list(page) for page in pages] or [""]
        return [self._response(query, count + part) for part in lists]

    def _single(self, tree: Tree, query: Message) -> list[bytes]:
        camera = tree.camera(query.device_id)
        speaker = next((one for one in tree.speakers if one.id == query.device_id), None)
        name = next((one.name for one in (camera, speaker) if one), tree.name)
        if query.cmd_type == "DeviceInfo":
            fields = [
                ("DeviceName", name),
                ("Result", "OK"),
                ("Manufacturer", "Lockgate"),
                ("Model", "Simulator"),
                ("Firmware", "0.1"),
                ("Channel", "1" if camera else str(len(tree.cameras))),
            ]
        elif query.cmd_type == "DeviceStatus":
            moment = datetime.fromtimestamp(self._wall(), BEIJING)
            fields = [
                ("Result", "OK"),
                ("Online", "ONLINE"),
                ("Status", "OK"),
                ("Encode", "ON"),
                ("Record", "OFF"),
                ("DeviceTime", f"{moment:%Y-%m-%dT%H:%M:%S}"),
            ]
        else:
            fields = [("Result", "ERROR")]
        return [self._response(query, xml.elements(fields))]

    def _response(self, query: Message, rest: str) -> bytes:
        return xml.write("Response", query.cmd_type, query.sn, query.device_id, rest, charset=self._charset)


def _deaf(_notice: Message, _asker: Party) -> int:
    return 200


def _unheard(_answer: Message) -> None:
    pass
