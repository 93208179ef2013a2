"""Questions to those below us: what we send, and what their answers mean on the other side (9.5).

SN, names and charset are the peer's and ours; none of them crosses. An answer is matched by
(peer, CmdType, SN) and its id read loosely: an NVR may answer for a channel with its own.
"""

from collections import Counter
from typing import Final

from msgspec.structs import replace

from cascade.crossing import Answer, Ask, Failure, NoAnswer
from cascade.errors import BadCommand
from cascade.manscdp import CONTENT_TYPE, Head, catalog, commands, device_info, device_status
from cascade.manscdp.wire import NamesOf, Wire
from cascade.model.commands import Command, Control
from cascade.model.commands.device_info import AskDeviceInfo, DeviceInfo
from cascade.model.commands.device_status import AskDeviceStatus, DeviceStatus
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.serials import Serials
from cascade.peers import LowerPeer
from cascade.ports import Gate
from cascade.questions import Questions
from cascade.status import failure_of
from sip.endpoint import Endpoint, Outgoing, Party
from sip.events import Address, Event, Kind
from sip.uri import host_port

DEVICE_SECONDS: Final = 10.0
"""How long a device has for one answer."""

Question = AskDeviceInfo | AskDeviceStatus

Key = tuple[PlatformId, str, str]
"""What an answer is recognised by: peer, CmdType, our SN."""


def target_of(ask: Ask[Command]) -> ChannelId | None:
    """Whom a question is for; None for one that no device below is asked."""
    return ask.payload.target if isinstance(ask.payload, Question) else None


def cmd_type(question: Question) -> str:
    return "DeviceInfo" if isinstance(question, AskDeviceInfo) else "DeviceStatus"


def question_body(question: Question, peer: LowerPeer, sn: int) -> bytes:
    """The Query that asks it of `peer`, under our `sn`."""
    names = NamesOf(peer.id)
    match question:
        case AskDeviceInfo():
            return device_info.QUESTION.write(question, sn=sn, names=names, charset=peer.charset)
        case AskDeviceStatus():
            return device_status.QUESTION.write(question, sn=sn, names=names, charset=peer.charset)


def answer_of(question: Question, body: bytes) -> Command:
    """What the other side hears: the peer's answer, about the target that was asked for.

    Raises:
        BadCommand: the body is no answer of its kind.
    """
    wire: Wire[DeviceInfo] | Wire[DeviceStatus]
    wire = device_info.ANSWER if isinstance(question, AskDeviceInfo) else device_status.ANSWER
    return replace(wire.read(body, NamesOf(question.target.peer)), target=question.target)


class Asker:
    """Asks below what came through the gate: each `ask` is followed by one Answer or NoAnswer."""

    def __init__(self, endpoint: Endpoint, gate: Gate, serials: Serials, origin: PlatformId) -> None:
        self._endpoint = endpoint
        self._gate = gate
        self._serials = serials
        self._origin = origin
        self._open: Questions[Key, tuple[Ask[Command], Question]] = Questions()

    @property
    def counts(self) -> Counter[str]:
        return self._open.counts

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._open.deadline

    def ask(self, ask: Ask[Command], peer: LowerPeer, at: Address, now: float) -> None:
        """Ask `peer`, which is reached at `at`; the question is one that `target_of` knows."""
        question = ask.payload
        if not isinstance(question, Question):
            self.no_answer(ask, "refused")
            return
        sn = self._serials.next()
        key = (peer.id, cmd_type(question), str(sn))
        if not self._open.ask(key, (ask, question), due=now + min(ask.seconds_left, DEVICE_SECONDS)):
            self.no_answer(ask, "busy")
            return

        def then(event: Event) -> None:
            if event.kind == Kind.RESPONSE and event.status < 300:
                return
            if key in self._open:  # the answer may have come before the status of its question
                self._open.take(key)
                failure: Failure = "offline" if event.kind == Kind.UNDELIVERED else "timeout"
                self.no_answer(ask, failure_of(event.status) if event.status else failure)

        body = question_body(question, peer, sn)
        self._endpoint.send(_message(self._endpoint, question.target.name, at, body), then)

    def control(self, control: Control, peer: LowerPeer, at: Address) -> None:
        """Tell `peer` what its device shall do; its status is counted, and there is no other answer."""

        def then(event: Event) -> None:
            taken = event.kind == Kind.RESPONSE and event.status < 300
            self.counts["controls_taken" if taken else "controls_failed"] += 1

        names = NamesOf(peer.id)
        body = commands.wire_of(control).write(
            control, sn=self._serials.next(), names=names, charset=peer.charset
        )
        self._endpoint.send(_message(self._endpoint, control.target.name, at, body), then)

    def take(self, peer: PlatformId, head: Head, body: bytes) -> None:
        """An answer of `peer`; one that is late, repeated or invented is counted.

        Raises:
            BadCommand: it can't be read; the asker has heard of the failure.
        """
        found = self._open.take((peer, head.cmd_type, head.sn))
        if found is None:
            return
        ask, question = found
        try:
            payload = answer_of(question, body)
        except BadCommand:
            self.no_answer(ask, "failed")
            raise
        self._gate.send(Answer(correlation=ask.correlation, origin=peer, users=ask.users, payload=payload))

    def advance(self, now: float) -> None:
        """Give up on what nobody answered in time."""
        for ask, _ in self._open.advance(now):
            self.no_answer(ask, "timeout")

    def no_answer(self, ask: Ask[Command], failure: Failure) -> None:
        """Tell the other side that nothing will come."""
        self._gate.send(
            NoAnswer(
                correlation=ask.correlation,
                origin=self._origin,
                users=ask.users,
                action=ask.payload.action,
                failure=failure,
            )
        )


def catalog_query(endpoint: Endpoint, peer: LowerPeer, at: Address, sn: int) -> Outgoing:
    body = catalog.write_query(sn=sn, device_id=peer.id, charset=peer.charset)
    return _message(endpoint, peer.id, at, body)


def _message(endpoint: Endpoint, user: str, at: Address, body: bytes) -> Outgoing:
    to = Party(user, host_port(*at))  # Q60: at its address, not at our realm
    return endpoint.request("MESSAGE", to, at, body=body, content_type=CONTENT_TYPE)
