"""Broadcasts of the upper platform: announce a voice, be invited for it, speak (GB/T 28181-2016 9.12.1)."""

import asyncio
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from interop.sim import ps, sdp, xml
from interop.sim.net import Address, Net, Port
from interop.sim.reasons import Told, answered, unanswered
from interop.sim.registrar import Registered
from interop.sim.rtp import Packetizer
from interop.sim.tasks import Tasks, until
from interop.sim.voice import FRAME_SAMPLES, FRAME_SECONDS, Voice
from interop.words import Saying, saying
from sip.aio.ask import ask
from sip.aio.calls import Call, Incoming
from sip.endpoint import Endpoint, Party
from sip.errors import InviteOver, SipError
from sip.events import Event

_SUBJECT: Final = re.compile(r"\s*([^:,\s]+):([^:,\s]*)\s*,\s*([^:,\s]+):([^:,\s]*)\s*")
_ORDER: Final = "vosiuepcbtrzkmayf"
"""Lines of a description in the order that they must have (RFC 4566 5; y and f behind all, 5.3)."""

_MAX_KEPT: Final = 1_000  # reports of broadcasts that are over
_MAP_EVERY: Final = 50  # frames; a program stream says once a second what it holds


class BroadcastRefused(Told):
    """A broadcast of ours that nobody fetches. `status` is that of our MESSAGE; 200: it went wrong later."""

    def __init__(self, target: str, status: int, reason: str | Saying) -> None:
        super().__init__(saying("why.channel", channel=target, why=answered(status, reason)))
        self.target = target
        self.status = status
        self.reason = str(reason)


@dataclass(frozen=True, slots=True)
class Manner:
    """What the upper platform does when its voice is fetched; the defaults are a well-mannered one."""

    refuse: int | None = None  # status instead of 200
    answer_seconds: float = 0.0  # before the 200
    answer_ssrc: int | None = None  # y= of its own instead of the offered one, and sent with it
    names_ssrc: bool = True  # False: no y= in the 200
    media: bool = True  # False: answers and stays silent
    media_seconds: float | None = None  # falls silent after that long; the dialog stays
    foreign_ssrc: int | None = None  # sends with this one although y= says another


WELL_MANNERED: Final = Manner()


@dataclass(frozen=True, slots=True)
class SpeechReport:
    """What was sent to one listener so far. `sha256` is over the RTP payloads, hex.

    `running` holds the SHA-256 up to and with the packet of each RTP timestamp, for a listener that left
    early; `offered_ssrc` is y= of the INVITE. `ended` is why it is over: "bye" of the other end, "left" by
    ours, "no ACK"; None while it is not.
    """

    source: str
    target: str
    listener: str  # user of From in the INVITE
    subject: str
    call_id: str
    offered_ssrc: int | None
    ssrc: int
    payload_type: int
    destination: Address
    frames_sent: int
    bytes_sent: int
    sha256: str
    running: Mapping[int, str]
    first_timestamp: int | None
    last_timestamp: int | None
    ended: str | None


@dataclass(slots=True)
class _Leg:
    """One listener as it goes; `report` freezes it."""

    event: Event
    offer: sdp.Description
    payload_type: int
    ssrc: int
    frames: int = 0
    size: int = 0
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    running: dict[int, str] = field(default_factory=dict)
    ended: str | None = None

    def add(self, payload: bytes, timestamp: int) -> None:
        self.frames += 1
        self.size += len(payload)
        self.hash.update(payload)
        self.running[timestamp] = self.hash.hexdigest()

    def report(self, source: str, target: str) -> SpeechReport:
        return SpeechReport(
            source=source,
            target=target,
            listener=self.event.from_user,
            subject=self.event.header("Subject") or "",
            call_id=self.event.call_id,
            offered_ssrc=self.offer.ssrc,
            ssrc=self.ssrc,
            payload_type=self.payload_type,
            destination=(self.offer.host, self.offer.port),
            frames_sent=self.frames,
            bytes_sent=self.size,
            sha256=self.hash.hexdigest(),
            running=dict(self.running),
            first_timestamp=next(iter(self.running), None),
            last_timestamp=next(reversed(self.running), None),
            ended=self.ended,
        )


class Broadcast:
    """One announced voice, as long as it is held.

    `result` is that of the Response, "" before it has come; `complaints` says what in the INVITEs is not
    as the standard has it, `turned_away` the statuses of those refused; `over` is set once every listener
    that there was has gone.
    """

    def __init__(
        self, source: str, target: str, sn: int, bound: Registered, manner: Manner, voice: int
    ) -> None:
        self.source = source
        self.target = target
        self.sn = sn
        self.bound = bound
        self.manner = manner
        self.result = ""
        self.response: xml.Message | None = None
        self.complaints: list[str] = []
        self.turned_away: list[int] = []
        self.calls = 0  # INVITEs for it, refused ones included
        self.over = asyncio.Event()
        self._voice = Voice(voice)
        self._legs: list[_Leg] = []
        self._tasks = Tasks()
        self._paused = False
        self._speaking = 0
        self._news = asyncio.Event()

    def reports(self) -> tuple[SpeechReport, ...]:
        """One for each listener that there was, in the order of their ACKs."""
        return tuple(leg.report(self.source, self.target) for leg in self._legs)

    async def answered(self) -> str:
        """Return the Response's result once it has come."""
        while not self.result:
            await self._something_new()
        return self.result

    async def fetched(self, listeners: int = 1) -> None:
        """Return once so many have sent their ACK."""
        while len(self._legs) < listeners:
            await self._something_new()

    async def spoken(self, frames: int) -> None:
        """Return once every listener was sent so many frames."""
        while not self._legs or min(leg.frames for leg in self._legs) < frames:
            await self._something_new()

    async def pause(self) -> tuple[SpeechReport, ...]:
        """Fall silent after the frame in hand; the dialogs stay. What was sent in all."""
        self._paused = True
        while self._speaking:
            await self._something_new()
        return self.reports()

    async def _something_new(self) -> None:
        self._news.clear()
        await self._news.wait()

    # What Broadcasts tells it

    async def __aenter__(self) -> "Broadcast":
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up on every listener."""
        await self._tasks.__aexit__()

    def hear(self, response: xml.Message) -> None:
        self.response = response
        self.result = response.text("Result").upper() or "?"
        if response.device_id not in ("", self.target):
            self.complaints.append(f"Response: DeviceID is {response.device_id}, not {self.target}")
        self._news.set()

    def serve(self, incoming: Incoming, net: Net, host: str, own_ssrc: Callable[[], int]) -> None:
        """Answer an INVITE for this voice, and speak to whoever sent it until either end is over."""
        self.calls += 1
        self.complaints += complaints(incoming.event, self.source, self.target)
        offer = sdp.read(incoming.event.body)
        manner = self.manner
        if manner.refuse is not None:
            self._turn_away(incoming, manner.refuse)
        elif (
            offer is None or offer.voice_type is None or (offer.media, offer.protocol) != ("audio", "RTP/AVP")
        ):
            self._turn_away(incoming, 488)
        else:
            ssrc = manner.answer_ssrc
            if ssrc is None:
                ssrc = own_ssrc() if offer.ssrc is None else offer.ssrc
            leg = _Leg(incoming.event, offer, offer.voice_type, ssrc)
            if not self._tasks.start(self._serve(incoming, leg, net, host)):
                self._turn_away(incoming, 403)

    def _turn_away(self, incoming: Incoming, status: int) -> None:
        self.turned_away.append(status)
        incoming.refuse(status)

    async def _serve(self, incoming: Incoming, leg: _Leg, net: Net, host: str) -> None:
        try:
            port = net.datagrams((host, 0), _ignore)
        except OSError:
            self._turn_away(incoming, 500)
            return
        answer = sdp.Description(
            owner=self.source,
            host=host,
            port=port.address[1],
            media="audio",
            formats=(leg.payload_type,),
            direction="sendonly",
            ssrc=leg.ssrc if self.manner.names_ssrc else None,
            media_format=sdp.VOICE_FORMAT,
        )
        ended = "left"
        try:
            await asyncio.sleep(self.manner.answer_seconds)
            async with incoming.accept(sdp.write(answer), content_type=sdp.CONTENT_TYPE) as call:
                await until(call.ended, self._speak(call, leg, port))
                ended = call.ended.result()
        except InviteOver:
            ended = "cancelled"
        finally:
            port.close()
            leg.ended = ended
            if self._legs and all(other.ended for other in self._legs):
                self.over.set()

    async def _speak(self, call: Call, leg: _Leg, port: Port) -> None:
        await asyncio.shield(call.acknowledged)
        self._legs.append(leg)
        self._news.set()
        if not self.manner.media:
            return
        self._speaking += 1
        try:
            await self._send(leg, port)
        finally:
            self._speaking -= 1
            self._news.set()

    async def _send(self, leg: _Leg, port: Port) -> None:
        """A frame each 20 ms. A late one shifts the rest: there is never a burst."""
        manner = self.manner
        loop = asyncio.get_running_loop()
        chance = zlib.crc32(leg.event.call_id.encode())  # both begin anywhere (RFC 3550 5.1)
        ssrc = leg.ssrc if manner.foreign_ssrc is None else manner.foreign_ssrc
        packetizer = Packetizer(ssrc, payload_type=leg.payload_type, first_sequence=chance)
        in_program_stream = leg.payload_type != sdp.PCMA
        ticks = round(FRAME_SECONDS * ps.CLOCK_RATE) if in_program_stream else FRAME_SAMPLES
        due = loop.time()
        seconds = manner.media_seconds
        while not self._paused and (seconds is None or leg.frames * FRAME_SECONDS < seconds):
            timestamp = chance + leg.frames * ticks & 0xFFFFFFFF
            payload = self._voice.frame(leg.frames)
            if in_program_stream:
                payload = ps.mux_voice(payload, timestamp, first=leg.frames % _MAP_EVERY == 0)
            packet = packetizer.packet(payload, timestamp, marker=in_program_stream or not leg.frames)
            port.send(packet, (leg.offer.host, leg.offer.port))
            leg.add(payload, timestamp)
            self._news.set()
            due = max(due + FRAME_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())


class Broadcasts:
    """All broadcasts of one upper platform. Set `invited` as `Calls.on_invite`; give `hear` the Responses."""

    def __init__(
        self,
        endpoint: Endpoint,
        net: Net,
        host: str,
        charset: str,
        *,
        next_sn: Callable[[], int],
        own_ssrc: Callable[[], int],
    ) -> None:
        self.reports: list[SpeechReport] = []  # of those that are over, the last thousand
        self.refused: list[BroadcastRefused] = []
        self.unwanted = 0  # INVITEs that no broadcast asked for
        self._endpoint = endpoint
        self._net = net
        self._host = host
        self._charset = charset
        self._next_sn = next_sn
        self._own_ssrc = own_ssrc
        self._held: list[Broadcast] = []

    @asynccontextmanager
    async def announce(
        self,
        target: str,
        bound: Registered,
        *,
        source: str,
        listeners: int,
        manner: Manner,
        voice: int,
        answer_seconds: float,
    ) -> AsyncIterator[Broadcast]:
        """See `UpperPlatform.broadcast`."""
        held = Broadcast(source, target, self._next_sn(), bound, manner, voice)
        self._held.append(held)
        try:
            async with held:
                await self._send_notice(held)
                await self._agree(held, listeners, answer_seconds)
                yield held
        finally:
            self._held.remove(held)
            self.reports = [*self.reports, *held.reports()][-_MAX_KEPT:]

    async def _send_notice(self, held: Broadcast) -> None:
        body = xml.broadcast(held.sn, held.source, held.target, charset=self._charset)
        to = Party(held.target, held.bound.domain)
        outgoing = self._endpoint.request(
            "MESSAGE", to, held.bound.address, body=body, content_type=xml.CONTENT_TYPE
        )
        try:
            answer = await ask(self._endpoint, outgoing)
        except SipError as error:
            raise self._refusal(held, 0, unanswered(error)) from None
        if answer.status != 200:
            raise self._refusal(held, answer.status, answer.reason)

    async def _agree(self, held: Broadcast, listeners: int, seconds: float) -> None:
        """The Response and the INVITEs, in whatever order they come."""
        try:
            async with asyncio.timeout(seconds):
                if await held.answered() != "OK":
                    raise self._refusal(held, 200, saying("why.result", result=held.result))
                await held.fetched(listeners)
        except TimeoutError:
            away = ", ".join(map(str, held.turned_away))
            if held.result and away:
                missing = saying("why.turned_away", seconds=f"{seconds:g}", statuses=away)
            elif held.result:
                missing = saying("why.unfetched", seconds=f"{seconds:g}")
            else:
                missing = saying("why.no_response", seconds=f"{seconds:g}")
            raise self._refusal(held, 200, missing) from None

    def _refusal(self, held: Broadcast, status: int, reason: str | Saying) -> BroadcastRefused:
        refused = BroadcastRefused(held.target, status, reason)
        self.refused.append(refused)
        return refused

    def hear(self, response: xml.Message) -> bool:
        """Take the Response to a broadcast; False if it is none of a broadcast that is held."""
        for held in self._held:
            if response.cmd_type == "Broadcast" and response.sn == str(held.sn):
                held.hear(response)
                return True
        return False

    def invited(self, incoming: Incoming) -> None:
        """An INVITE belongs to the broadcast of the same peer, source, and as far as it says so, target.

        Of several to one target it is that which the fewest have called for.
        """
        event = incoming.event
        named = {event.uri_user, event.to_user}
        held = [one for one in self._held if one.bound.address == event.source and one.source in named]
        subject = _SUBJECT.fullmatch(event.header("Subject") or "")
        receiver = subject.group(3) if subject else ""
        aimed = [one for one in held if one.target == receiver] or held
        chosen = min(aimed, key=lambda one: one.calls, default=None)
        if chosen is None:
            self.unwanted += 1
            incoming.refuse(403)
        else:
            chosen.serve(incoming, self._net, self._host, self._own_ssrc)


def complaints(event: Event, source: str, target: str) -> Iterator[str]:
    """What in the INVITE of a listener is not as the standard and known platforms want it (Q95, Q97)."""
    if event.uri_user != source:
        yield f"Request-URI: the user is {event.uri_user}, not the SourceID {source}"
    if event.to_user != source:
        yield f"To: the user is {event.to_user}, not the SourceID {source}"
    if event.content_type.partition(";")[0].strip().lower() != sdp.CONTENT_TYPE:
        yield f"Content-Type: {event.content_type}"
    if event.contact is None:
        yield "Contact: absent"
    lines = event.body.decode("utf-8", "replace").split("\r\n")
    letters = [line[:1] for line in lines if line]
    if any(letter not in _ORDER for letter in letters) or letters != sorted(letters, key=_ORDER.find):
        yield f"SDP: lines are {''.join(letters)}"
    offer = sdp.read(event.body)
    if offer is None:
        yield "SDP: can't be read"
        return
    yield from _complaints_of(offer)
    serials = [line[2:] for line in lines if line.startswith("y=")]
    if any(not re.fullmatch(r"0\d{9}", serial) for serial in serials):
        yield f"y=: {serials}, not ten digits that begin with 0 for live"
    subject = _SUBJECT.fullmatch(event.header("Subject") or "")
    if subject is None:
        yield f"Subject: {event.header('Subject')}"
        return
    if subject.group(1) != source or subject.group(3) != target:
        yield f"Subject: from {subject.group(1)} to {subject.group(3)}, not from {source} to {target}"
    if serials and subject.group(2) != serials[0]:
        yield f"Subject: the sender's serial is {subject.group(2)}, y= is {serials[0]}"


def _complaints_of(offer: sdp.Description) -> Iterator[str]:
    wanted = ("audio", "RTP/AVP", "Play", "recvonly", sdp.VOICE_FORMAT)
    found = (offer.media, offer.protocol, offer.session, offer.direction, offer.media_format)
    names = ("m=", "m=", "s=", "a=", "f=")
    for name, want, find in zip(names, wanted, found, strict=True):
        if want != find:
            yield f"{name} {find!r}, not {want!r}"
    if offer.voice_type is None:
        yield f"m= offers {offer.formats}"


def _ignore(payload: bytes, source: Address) -> None:
    """Nothing is expected to come back: no RTCP."""
