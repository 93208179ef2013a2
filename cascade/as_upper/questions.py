"""Questions to those below us: what we send, and what their answers mean on the other side (9.5).

SN, names and charset are the peer's and ours; none of them crosses. An answer is matched by
(peer, CmdType, SN) and its id read loosely: an NVR may answer for a channel with its own.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from msgspec.structs import replace

from cascade.as_upper.announcements import Announcement, Announcements
from cascade.crossing import Answer, Ask, Failure, NoAnswer
from cascade.errors import BadCommand
from cascade.limits import Bounds
from cascade.manscdp import CONTENT_TYPE, Head, broadcast, catalog, commands, device_info, device_status
from cascade.manscdp.wire import NamesOf, Wire
from cascade.model.commands import Command, Control
from cascade.model.commands.broadcast import AskBroadcast, Broadcast
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

Question = AskDeviceInfo | AskDeviceStatus | AskBroadcast

Key = tuple[PlatformId, str, str]
"""What an answer is recognised by: peer, CmdType, our SN."""


def target_of(ask: Ask[Command]) -> ChannelId | None:
    """Whom a question is for; None for one that no device below is asked."""
    return ask.payload.target if isinstance(ask.payload, Question) else None


def cmd_type(question: Question) -> str:
    match question:
        case AskDeviceInfo():
            return "DeviceInfo"
        case AskDeviceStatus():
            return "DeviceStatus"
        case AskBroadcast():
            return broadcast.CMD_TYPE


def question_body(question: Question, peer: LowerPeer, sn: int, us: PlatformId) -> bytes:
    """The message that asks it of `peer`, under our `sn`; whoever speaks above, below it is `us`."""
    names = NamesOf(peer.id)
    match question:
        case AskDeviceInfo():
            return device_info.QUESTION.write(question, sn=sn, names=names, charset=peer.charset)
        case AskDeviceStatus():
            return device_status.QUESTION.write(question, sn=sn, names=names, charset=peer.charset)
        case AskBroadcast():
            return broadcast.write(question, source=us, sn=sn, names=names, charset=peer.charset)


def answer_of(question: Question, body: bytes) -> Command:
    """What the other side hears: the peer's answer, about the target that was asked for.

    Raises:
        BadCommand: the body is no answer of its kind.
    """
    if isinstance(question, AskBroadcast):
        return broadcast.read_answer(body, question.target)
    wire: Wire[DeviceInfo] | Wire[DeviceStatus]
    wire = device_info.ANSWER if isinstance(question, AskDeviceInfo) else device_status.ANSWER
    return replace(wire.read(body, NamesOf(question.target.peer)), target=question.target)


class Asker:
    """Asks below what came through the gate: each `ask` is followed by one Answer or NoAnswer."""

    def __init__(
        self,
        endpoint: Endpoint,
        gate: Gate,
        serials: Serials,
        origin: PlatformId,
        bounds: Bounds | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._gate = gate
        self._serials = serials
        self._origin = origin
        self._announcements = Announcements(bounds)
        self._open: Questions[Key, tuple[Ask[Command], Question]] = Questions(bounds)

    @property
    def counts(self) -> Counter[str]:
        return self._open.counts

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        deadlines = (self._open.deadline, self._announcements.deadline)
        return min((each for each in deadlines if each is not None), default=None)

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
        if isinstance(question, AskBroadcast):
            self._announcements.open(Announcement(ask.correlation, question.target, sn), now=now)

        def then(event: Event) -> None:
            if event.kind == Kind.RESPONSE and event.status < 300:
                return
            if key in self._open:  # the answer may have come before the status of its question
                self._open.take(key)
                failure: Failure = "offline" if event.kind == Kind.UNDELIVERED else "timeout"
                self.no_answer(ask, failure_of(event.status) if event.status else failure)

        body = question_body(question, peer, sn, self._origin)
        to = party_of(peer, question.target.name, at)
        self._endpoint.send(_message(self._endpoint, to, at, body), then)

    def control(self, control: Control, peer: LowerPeer, at: Address, over: Callable[[bool], None]) -> None:
        """Tell `peer` what its device shall do; its status is counted, and there is no other answer.

        `over` hears whether the message was answered; else it was given up.
        """

        def then(event: Event) -> None:
            taken = event.kind == Kind.RESPONSE and event.status < 300
            self.counts["controls_taken" if taken else "controls_failed"] += 1
            over(event.kind == Kind.RESPONSE)

        names = NamesOf(peer.id)
        body = commands.wire_of(control).write(
            control, sn=self._serials.next(), names=names, charset=peer.charset
        )
        self._endpoint.send(_message(self._endpoint, party_of(peer, control.target.name, at), at, body), then)

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
        if isinstance(payload, Broadcast) and payload.result == "error":
            self._announcements.close(ask.correlation)
        self._answer(ask, peer, payload)

    def calls(self, peer: PlatformId) -> bool:
        """May `peer` invite us now?"""
        return self._announcements.for_peer(peer)

    def called(self, peer: PlatformId, names: Collection[str]) -> Announcement | None:
        """The announcement that an INVITE of `peer` under these names answers.

        Who calls has agreed: devices that send no answer, or send it later, have then answered.
        """
        found = self._announcements.call(peer, names)
        if found is None:
            return None
        key = (peer, broadcast.CMD_TYPE, str(found.sn))
        if key in self._open and (asked := self._open.take(key)) is not None:
            self._answer(asked[0], peer, Broadcast(target=found.target, result="ok"))
        return found

    def _answer(self, ask: Ask[Command], peer: PlatformId, payload: Command) -> None:
        self._gate.send(Answer(correlation=ask.correlation, origin=peer, users=ask.users, payload=payload))

    def advance(self, now: float) -> None:
        """Give up on what nobody answered in time."""
        for ask, _ in self._open.advance(now):
            self.no_answer(ask, "timeout")
        self._announcements.advance(now)

    def no_answer(self, ask: Ask[Command], failure: Failure) -> None:
        """Tell the other side that nothing will come."""
        self._announcements.close(ask.correlation)
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
    return _message(endpoint, party_of(peer, peer.id, at), at, body)


def party_of(peer: LowerPeer, user: str, at: Address) -> Party:
    """Request-URI and To of what `user` at `peer` is sent: its address, or its domain (Q60)."""
    by_domain = peer.to_host == "domain" and peer.domain
    return Party(user, peer.domain if by_domain else host_port(*at))


def _message(endpoint: Endpoint, party: Party, at: Address, body: bytes) -> Outgoing:
    return endpoint.request("MESSAGE", party, at, body=body, content_type=CONTENT_TYPE)
