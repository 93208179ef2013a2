"""Speakers below: hear that a voice is announced, answer, fetch it, listen (GB/T 28181-2016 9.12.1)."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from interop.sim import ps, rtp, sdp, xml
from interop.sim.membership import Server
from interop.sim.net import Address, Net, Port
from interop.sim.reasons import unanswered
from interop.sim.rtp import Receiver
from interop.sim.tasks import Tasks
from interop.sim.voice import FRAME_SAMPLES
from sip.aio.ask import ask
from sip.aio.calls import Call, Calls
from sip.endpoint import Endpoint, Outgoing, Party
from sip.errors import Declined, SipError
from sip.uri import host_port

log = logging.getLogger(__name__)

_MAX_RECORDS: Final = 1_000
_MAX_HEARD: Final = 1 << 20  # bytes of one voice that are kept, two minutes


@dataclass(frozen=True, slots=True)
class Habits:
    """What a speaker does when a voice is announced to it; the defaults are a well-behaved one.

    The two delays count from the notice, None for never: an INVITE that overtakes the Response is the
    habit of some. `formats` may name program streams (96), as devices of 2014 want them.
    """

    refuse: int | None = None  # status instead of 200
    result: str = "OK"  # of the Response
    response_seconds: float | None = 0.0
    names_device: bool = True  # False: a Response without DeviceID
    invite_seconds: float | None = 0.1
    names_ssrc: bool = True  # False: no y= in the offer, the other end chooses
    formats: tuple[int, ...] = (sdp.PCMA,)
    from_device: bool = False  # From says the device, not its speaker
    subject: bool = True
    hang_up_packets: int | None = None  # BYE after so many


WELL_BEHAVED: Final = Habits()


@dataclass(frozen=True, slots=True)
class HearingRecord:
    """What one speaker heard so far, and how it came to that.

    `status` is that of the answer to its INVITE, 0 where none came. `sha256` is over the RTP payloads in
    sequence order, hex; `voice` is the G.711 in them. `uneven` counts steps of the RTP timestamp that are
    not one frame. `ended` is why it is over: "bye" of the other end, "left" by ours, "no ACK", "refused".
    """

    speaker: str
    source: str
    target: str
    call_id: str
    offered_ssrc: int | None
    status: int
    ssrc: int | None
    payload_type: int | None
    direction: str
    media_format: str
    sources: tuple[Address, ...]
    packets_received: int
    packets_lost: int
    packets_repeated: int
    packets_late: int
    packets_foreign: int
    payload_bytes: int
    sha256: str
    voice: bytes
    first_timestamp: int | None
    last_timestamp: int | None
    uneven: int
    ended: str | None


@dataclass(slots=True)
class _Heard:
    """One fetched voice as it goes; `record` freezes it."""

    speaker: str
    source: str
    target: str
    offered_ssrc: int | None
    call_id: str = ""
    status: int = 0
    answer: sdp.Description | None = None
    receiver: Receiver | None = None
    early: deque[tuple[bytes, Address]] = field(default_factory=lambda: deque(maxlen=512))
    sources: dict[Address, None] = field(default_factory=dict)
    voice: bytearray = field(default_factory=bytearray)
    timestamps: tuple[int, int] | None = None
    uneven: int = 0
    ended: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, datagram: bytes, source: Address) -> None:
        """From the port. Until the answer has said what to expect, datagrams are kept."""
        if self.ended is not None:
            return
        if self.receiver is None:
            self.early.append((datagram, source))
            return
        before = self.receiver.received
        self._note(self.receiver.feed(datagram))
        if self.receiver.received > before:
            self.sources[source] = None
            self.news.set()

    def expect(self, answer: sdp.Description, payload_type: int) -> None:
        self.answer = answer
        self.receiver = Receiver(
            self.offered_ssrc if answer.ssrc is None else answer.ssrc,
            payload_type=payload_type,
            voice=True,
        )
        while self.early:
            self.take(*self.early.popleft())

    @property
    def packets(self) -> int:
        return self.receiver.received if self.receiver else 0

    async def something_new(self) -> None:
        self.news.clear()
        await self.news.wait()

    def finish(self, ended: str) -> None:
        if self.receiver is not None:
            self._note(self.receiver.finish())
        self.ended = ended
        self.news.set()

    def _note(self, frames: Sequence[rtp.Frame]) -> None:
        for frame in frames:
            is_program_stream = self.answer is not None and self.answer.voice_type != sdp.PCMA
            voice = ps.demux_voice(frame.payload) if is_program_stream else frame.payload
            step = FRAME_SAMPLES * ps.CLOCK_RATE // 8000 if is_program_stream else FRAME_SAMPLES
            if len(self.voice) < _MAX_HEARD:
                self.voice += voice
            first, last = self.timestamps or (frame.timestamp, frame.timestamp - step)
            self.uneven += (frame.timestamp - last) & 0xFFFFFFFF != step
            self.timestamps = first, frame.timestamp

    def record(self) -> HearingRecord:
        receiver = self.receiver or Receiver()
        answer = self.answer
        first, last = self.timestamps or (None, None)
        return HearingRecord(
            speaker=self.speaker,
            source=self.source,
            target=self.target,
            call_id=self.call_id,
            offered_ssrc=self.offered_ssrc,
            status=self.status,
            ssrc=receiver.ssrc,
            payload_type=answer.voice_type if answer else None,
            direction=answer.direction if answer else "",
            media_format=answer.media_format if answer else "",
            sources=tuple(self.sources),
            packets_received=receiver.received,
            packets_lost=receiver.lost_count,
            packets_repeated=receiver.repeated,
            packets_late=receiver.late,
            packets_foreign=receiver.foreign,
            payload_bytes=receiver.payload_bytes,
            sha256=receiver.sha256,
            voice=bytes(self.voice),
            first_timestamp=first,
            last_timestamp=last,
            uneven=self.uneven,
            ended=self.ended,
        )


class Listeners:
    """Serves broadcasts for whoever `outlets` finds under a TargetID: ids of what shall sound, () for none.

    `device` is what owns the speakers. `habits` by speaker; change it at any time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        calls: Calls,
        net: Net,
        host: str,
        server: Server,
        tasks: Tasks,
        outlets: Callable[[str], Sequence[str]],
        *,
        device: Callable[[str], str],
        charset: str,
        own_ssrc: Callable[[], int],
    ) -> None:
        self.habits: dict[str, Habits] = {}
        self.notices: list[tuple[str, str]] = []  # SourceID and TargetID, as they came
        self.unanswered = 0  # Responses that got no 200
        self._endpoint = endpoint
        self._calls = calls
        self._net = net
        self._host = host
        self._server = server
        self._tasks = tasks
        self._outlets = outlets
        self._device = device
        self._charset = charset
        self._own_ssrc = own_ssrc
        self._serial = 0
        self._heard: deque[_Heard] = deque(maxlen=_MAX_RECORDS)
        self._news = asyncio.Event()

    def records(self) -> tuple[HearingRecord, ...]:
        """The last thousand voices that were fetched, those refused included, in the order of the INVITEs."""
        return tuple(heard.record() for heard in self._heard)

    def totals(self) -> Mapping[str, int]:
        """For status lines: voices heard now, and packets of the last thousand."""
        return {
            "voices": sum(heard.ended is None for heard in self._heard),
            "voice_packets": sum(heard.packets for heard in self._heard),
        }

    async def heard(self, packets: int, *, voices: int = 1) -> None:
        """Return once so many voices were fetched and each of them has had so many packets."""
        while len(self._heard) < voices:
            self._news.clear()
            await self._news.wait()
        for heard in list(self._heard)[:voices]:
            while heard.packets < packets:
                await heard.something_new()

    async def ended(self, *, voices: int = 1) -> None:
        """Return once so many voices were fetched and are over."""
        while sum(heard.ended is not None for heard in self._heard) < voices:
            self._news.clear()
            await self._news.wait()

    def notified(self, notice: xml.Message, asker: Party) -> int:
        """The status of a Notify/Broadcast; everything else follows from a task."""
        source, target = notice.text("SourceID"), notice.text("TargetID")
        outlets = self._outlets(target)
        if not outlets or not source:
            return 404
        refusals = [self._habits(outlet).refuse for outlet in outlets]
        status = next((status for status in refusals if status is not None), 200)
        self.notices.append((source, target))
        if status == 200 and not self._tasks.start(self._serve(notice, asker, source, target, outlets)):
            return 503
        return status

    def _habits(self, outlet: str) -> Habits:
        return self.habits.get(outlet, WELL_BEHAVED)

    async def _serve(
        self, notice: xml.Message, asker: Party, source: str, target: str, outlets: Sequence[str]
    ) -> None:
        """One Response for all, an INVITE for each."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._respond(notice, asker, target, self._habits(outlets[0])))
            for outlet in outlets:
                habits = self._habits(outlet)
                if habits.result == "OK" and habits.invite_seconds is not None:
                    group.create_task(self._fetch(source, target, outlet, habits, habits.invite_seconds))

    async def _respond(self, notice: xml.Message, asker: Party, target: str, habits: Habits) -> None:
        if habits.response_seconds is None:
            return
        await asyncio.sleep(habits.response_seconds)
        result = xml.elements([("Result", habits.result)])
        device = target if habits.names_device else ""
        outgoing = self._endpoint.request(
            "MESSAGE",
            asker,
            self._server.address,
            body=xml.write("Response", "Broadcast", notice.sn, device, result, charset=self._charset),
            content_type=xml.CONTENT_TYPE,
            sender=Party(self._device(target), self._endpoint.me.host),
        )
        try:
            status = (await ask(self._endpoint, outgoing)).status
        except SipError as error:
            log.warning("sim.response_unanswered", extra={"target": target, "reason": unanswered(error)})
            status = 0
        self.unanswered += status != 200

    async def _fetch(self, source: str, target: str, outlet: str, habits: Habits, delay: float) -> None:
        await asyncio.sleep(delay)
        ssrc = self._own_ssrc() if habits.names_ssrc else None
        heard = _Heard(outlet, source, target, ssrc)
        port = self._net.datagrams((self._host, 0), heard.take)
        self._heard.append(heard)
        self._news.set()
        outgoing = self._invite(source, outlet, habits, ssrc, port)
        heard.call_id = outgoing.call_id
        ended = "left"
        try:
            async with self._calls.place(outgoing, answer_seconds=30.0) as call:
                heard.status = call.event.status
                ended = await self._listen(call, heard, habits)
        except Declined as declined:
            heard.status, ended = declined.status, "refused"
        except SipError as error:
            ended = str(error)
        finally:
            heard.finish(ended)
            port.close()
            self._news.set()

    def _invite(self, source: str, outlet: str, habits: Habits, ssrc: int | None, port: Port) -> Outgoing:
        """Addressed to the source that was announced, by its name as it was given (Q97)."""
        self._serial += 1
        offer = sdp.Description(
            owner=outlet,
            host=self._host,
            port=port.address[1],
            media="audio",
            formats=habits.formats,
            ssrc=ssrc,
            media_format=sdp.VOICE_FORMAT,
        )
        serial = "0" if ssrc is None else f"{ssrc:010d}"
        subject = [("Subject", f"{source}:{serial},{outlet}:{self._serial}")] if habits.subject else []
        caller = self._device(outlet) if habits.from_device else outlet
        return self._endpoint.request(
            "INVITE",
            Party(source, self._server.domain),
            self._server.address,
            uri=f"sip:{source}@{host_port(*self._server.address)}",
            headers=subject,
            body=sdp.write(offer),
            content_type=sdp.CONTENT_TYPE,
            sender=Party(caller, self._endpoint.me.host),
        )

    @staticmethod
    async def _listen(call: Call, heard: _Heard, habits: Habits) -> str:
        """Until either end is over; why."""
        answer = sdp.read(call.event.body)
        if answer is None or answer.voice_type is None:
            return "the answer's SDP can't be used"
        heard.expect(answer, answer.voice_type)
        call.ack()
        if habits.hang_up_packets is None:
            return await asyncio.shield(call.ended)
        call.ended.add_done_callback(lambda _ended: heard.news.set())
        while not call.ended.done() and heard.packets < habits.hang_up_packets:
            await heard.something_new()
        return call.ended.result() if call.ended.done() else "left"
