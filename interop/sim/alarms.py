"""Alarms as a device raises them, and as a platform takes them (GB/T 28181-2016 9.4, annex A.2.5, A.2.6)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from interop.sim import xml
from interop.sim.membership import Server
from interop.sim.picture import BEIJING
from interop.sim.registrar import Registered
from interop.sim.xml import Message
from sip.aio.ask import ask
from sip.endpoint import Endpoint, Party
from sip.errors import SipError

MAX_HELD: Final = 10_000
"""Alarms that a desk shows; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSpec:
    """An alarm as text by element; "" is left out."""

    device: str
    priority: str = "1"
    method: str = "2"
    time: str = ""  # now
    description: str = ""
    longitude: str = ""
    latitude: str = ""
    kind: str = ""  # AlarmType
    event: str = ""


class AlarmBell:
    """Rings at the server. `answers` are the Responses that came: SN, DeviceID, Result."""

    def __init__(self, endpoint: Endpoint, server: Server, charset: str, wall: Callable[[], float]) -> None:
        self.answers: list[tuple[str, str, str]] = []
        self._endpoint = endpoint
        self._server = server
        self._charset = charset
        self._wall = wall
        self._sn = 500

    async def ring(self, spec: AlarmSpec) -> int:
        """Send it; the status of its answer, 0 if there is none."""
        self._sn += 1
        return await self.send(write(spec, self._sn, spec.time or self._now(), self._charset))

    async def send(self, body: bytes) -> int:
        """Send whatever body; the status of its answer, 0 if there is none."""
        outgoing = self._endpoint.request(
            "MESSAGE", self._server.party, self._server.address, body=body, content_type=xml.CONTENT_TYPE
        )
        try:
            return (await ask(self._endpoint, outgoing)).status
        except SipError:
            return 0

    def hear(self, answer: Message) -> None:
        self.answers.append((answer.sn, answer.device_id, answer.text("Result")))

    def _now(self) -> str:
        return datetime.fromtimestamp(int(self._wall()), BEIJING).replace(tzinfo=None).isoformat()


def write(spec: AlarmSpec, sn: int, time: str, charset: str) -> bytes:
    event = [("AlarmTypeParam", [("EventType", spec.event)])] if spec.event else []
    kind = xml.elements([("AlarmType", spec.kind), *event]) if spec.kind else ""
    fields = xml.elements(
        [
            ("AlarmPriority", spec.priority),
            ("AlarmMethod", spec.method),
            ("AlarmTime", time),
            ("AlarmDescription", spec.description),
            ("Longitude", spec.longitude),
            ("Latitude", spec.latitude),
        ]
    )
    rest = fields + (f"<Info>\r\n{kind}</Info>\r\n" if kind else "")
    return xml.write("Notify", "Alarm", sn, spec.device, rest, charset=charset)


class AlarmDesk:
    """Takes alarms and answers them. `status` is what it answers; anything but 200 takes none.

    `on_alarm` is told of each. `forgets` says of which one, counting from 1, nothing is taken after all.
    """

    def __init__(self, endpoint: Endpoint, charset: str) -> None:
        self.taken: list[Message] = []
        self.status = 200
        self.refused = 0
        self.on_alarm: Callable[[Message], None] = _nobody
        self.forgets = 0
        self._come = 0
        self._endpoint = endpoint
        self._charset = charset

    def take(self, message: Message, sender: Registered) -> int:
        if self.status != 200:
            self.refused += 1
            return self.status
        self._come += 1
        if self._come == self.forgets:
            return 200
        self.taken.append(message)
        del self.taken[:-MAX_HELD]
        self.on_alarm(message)
        body = xml.write(
            "Response",
            "Alarm",
            message.sn,
            message.device_id,
            xml.elements([("Result", "OK")]),
            charset=self._charset,
        )
        to = Party(sender.id, sender.domain)
        self._endpoint.send(
            self._endpoint.request("MESSAGE", to, sender.address, body=body, content_type=xml.CONTENT_TYPE)
        )
        return 200

    def told(self, tag: str = "AlarmDescription") -> list[str]:
        """One element of each alarm, in the order of their coming."""
        return [message.device_id if tag == "DeviceID" else message.text(tag) for message in self.taken]


def _nobody(_message: Message) -> None:
    """Hears of no alarm."""
