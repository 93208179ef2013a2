"""Cameras that are invited: answer, wait for the ACK, send program streams until BYE."""

import asyncio
import hashlib
import logging
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, TypeVar, TypeVarTuple, Unpack

from interop.sim import ps, sdp
from interop.sim.camera import CameraSpec, FrameSource, SourceFactory, UnusableVideo
from interop.sim.net import Address, Net, Port
from interop.sim.rtp import Packetizer
from interop.sim.tasks import Tasks, until
from sip.aio.calls import Call, Incoming
from sip.errors import InviteOver

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_BURST: Final = 32  # packets sent without giving a stock receive buffer time to be emptied
_BURST_SECONDS: Final = 0.001
_MAX_DIGESTS: Final = 20_000  # frames of one stream, the last 13 minutes
_MAX_RECORDS: Final = 1_000  # streams, ended ones included


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a camera does when it is invited; the defaults are a well-behaved one."""

    refuse: int | None = None  # status instead of 200
    answer_seconds: float = 0.0  # before the 200
    answer_ssrc: int | None = None  # y= of its own instead of the offered one, and sent with it
    media: bool = True  # False: answers and stays silent
    media_seconds: float | None = None  # falls silent after that long; the dialog stays
    foreign_ssrc: int | None = None  # sends with this one although y= says another
    foreign_port: bool = False  # sends from another port than the answer names


WELL_BEHAVED: Final = Behaviour()


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """What one stream sent so far. `sha256` is over the PS bytes, hex.

    `running` holds the SHA-256 up to and with the frame of each RTP timestamp, `digests` that of the
    frame alone, both for the last 20,000 frames; for a receiver that left early or came late.
    """

    camera: str
    number: int
    call_id: str
    ssrc: int
    destination: Address
    frames_sent: int
    packets_sent: int
    bytes_sent: int
    sha256: str
    running: Mapping[int, str]
    digests: Mapping[int, str]
    ended: bool


@dataclass(slots=True)
class _Sent:
    """One stream as it goes; `record` freezes it."""

    camera: CameraSpec
    call_id: str
    ssrc: int
    destination: Address
    frames: int = 0
    packets: int = 0
    size: int = 0
    ended: bool = False
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    running: dict[int, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, pack: bytes, timestamp: int, packets: int) -> None:
        self.frames += 1
        self.packets += packets
        self.size += len(pack)
        self.hash.update(pack)
        self.running[timestamp] = self.hash.hexdigest()
        self.digests[timestamp] = hashlib.sha256(pack).hexdigest()
        if len(self.running) > _MAX_DIGESTS:
            oldest = next(iter(self.running))
            del self.running[oldest], self.digests[oldest]

    def record(self) -> StreamRecord:
        return StreamRecord(
            camera=self.camera.id,
            number=self.camera.number,
            call_id=self.call_id,
            ssrc=self.ssrc,
            destination=self.destination,
            frames_sent=self.frames,
            packets_sent=self.packets,
            bytes_sent=self.size,
            sha256=self.hash.hexdigest(),
            running=dict(self.running),
            digests=dict(self.digests),
            ended=self.ended,
        )


class Senders:
    """Serves INVITEs for the cameras in `cameras`. Set `invited` as `Calls.on_invite`.

    `host` is the address that media is sent from and named in answers. Sources that block run in
    `workers`. `behaviours` by camera id; change it at any time.
    """

    def __init__(
        self,
        cameras: Mapping[str, CameraSpec],
        net: Net,
        host: str,
        tasks: Tasks,
        *,
        open_source: SourceFactory,
        workers: Executor | None,
        wall: Callable[[], float],
        own_ssrc: Callable[[], int],
    ) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.refused = 0
        self._cameras = cameras
        self._net = net
        self._host = host
        self._tasks = tasks
        self._open_source = open_source
        self._workers = workers
        self._wall = wall
        self._own_ssrc = own_ssrc
        self._sent: deque[_Sent] = deque(maxlen=_MAX_RECORDS)
        self._flowing = 0
        self._paused = False
        self._still = asyncio.Event()
        self._still.set()

    def records(self) -> tuple[StreamRecord, ...]:
        """The last thousand streams, ended ones included, in the order in which they began."""
        return tuple(sent.record() for sent in self._sent)

    def totals(self) -> dict[str, int]:
        """For status lines: streams now, frames and packets of the last thousand streams."""
        return {
            "streams": sum(not sent.ended for sent in self._sent),
            "frames_sent": sum(sent.frames for sent in self._sent),
            "packets_sent": sum(sent.packets for sent in self._sent),
        }

    async def pause_streams(self) -> tuple[StreamRecord, ...]:
        """Stop all sending after the frame in hand; dialogs stay. Return when the last has left."""
        self._paused = True
        await self._still.wait()
        return self.records()

    def resume_streams(self) -> None:
        """Let streams that begin from now on send again; paused ones stay silent."""
        self._paused = False

    def invited(self, incoming: Incoming) -> None:
        if not self._tasks.start(self._serve(incoming)):
            incoming.refuse(503)

    async def _serve(self, incoming: Incoming) -> None:
        event = incoming.event
        camera = self._cameras.get(event.uri_user) or self._cameras.get(event.to_user)
        if camera is None:
            self._refuse(incoming, 404)
            return
        behaviour = self.behaviours.get(camera.id, WELL_BEHAVED)
        offer = sdp.read(event.body)
        if behaviour.refuse is not None:
            self._refuse(incoming, behaviour.refuse)
        elif offer is None or offer.payload_type is None or offer.protocol != "RTP/AVP":
            self._refuse(incoming, 488)
        else:
            await self._answer(incoming, camera, behaviour, offer, offer.payload_type)

    def _refuse(self, incoming: Incoming, status: int) -> None:
        self.refused += 1
        incoming.refuse(status)

    async def _answer(
        self,
        incoming: Incoming,
        camera: CameraSpec,
        behaviour: Behaviour,
        offer: sdp.Description,
        payload_type: int,
    ) -> None:
        try:
            source = await self._run(True, self._open_source, camera)
            port = self._net.datagrams((self._host, 0), _ignore)
        except (UnusableVideo, OSError) as error:
            reason = error.said if isinstance(error, UnusableVideo) else str(error)
            log.error("sim.no_source", extra={"camera": camera.id, "reason": reason})
            self._refuse(incoming, 500)
            return
        ssrc = behaviour.answer_ssrc
        if ssrc is None:
            ssrc = self._own_ssrc() if offer.ssrc is None else offer.ssrc
        answer = sdp.Description(
            owner=camera.id,
            host=self._host,
            port=port.address[1],
            session=offer.session or "Play",
            formats=(payload_type,),
            direction="sendonly",
            ssrc=ssrc,
            media_format="v/2/5/25/1/1000a///",
        )
        real = behaviour.foreign_ssrc if behaviour.foreign_ssrc is not None else ssrc
        sent = _Sent(camera, incoming.event.call_id, real, (offer.host, offer.port))
        try:
            await asyncio.sleep(behaviour.answer_seconds)
            async with incoming.accept(sdp.write(answer), content_type=sdp.CONTENT_TYPE) as call:
                self._sent.append(sent)
                await until(call.ended, self._stream(call, sent, source, port, behaviour, payload_type))
        except InviteOver:
            log.info("sim.invite_over", extra={"camera": camera.id})
        finally:
            sent.ended = True
            port.close()
            source.close()

    async def _stream(
        self,
        call: Call,
        sent: _Sent,
        source: FrameSource,
        port: Port,
        behaviour: Behaviour,
        payload_type: int,
    ) -> None:
        await asyncio.shield(call.acknowledged)
        if not behaviour.media:
            return
        other = self._net.datagrams((self._host, 0), _ignore) if behaviour.foreign_port else None
        self._flowing += 1
        self._still.clear()
        try:
            await self._send(sent, source, other or port, payload_type, behaviour.media_seconds)
        except Exception:
            log.exception("sim.stream_failed", extra={"camera": sent.camera.id})
        finally:
            self._flowing -= 1
            if not self._flowing:
                self._still.set()
            if other is not None:
                other.close()

    async def _send(
        self, sent: _Sent, source: FrameSource, port: Port, payload_type: int, seconds: float | None
    ) -> None:
        """Frame after frame, each at its time. A late one shifts the rest: there is never a burst."""
        loop = asyncio.get_running_loop()
        interval = 1.0 / source.frame_rate
        first = zlib.crc32(sent.call_id.encode())
        packetizer = Packetizer(sent.ssrc, payload_type=payload_type, first_sequence=first)
        start = loop.time()
        slot = 0
        while not self._paused and (seconds is None or slot * interval < seconds):
            ticks = round(slot * interval * ps.CLOCK_RATE)
            unit = await self._run(source.blocking, source.next, sent.frames, ticks, self._wall())
            pack = ps.mux(unit)
            timestamp = (unit.pts or 0) & 0xFFFFFFFF
            packets = packetizer.packets_of(pack, timestamp)
            for at in range(0, len(packets), _BURST):
                if at:
                    await asyncio.sleep(_BURST_SECONDS)
                for packet in packets[at : at + _BURST]:
                    port.send(packet, sent.destination)
            sent.add(pack, timestamp, len(packets))
            slot = max(slot + 1, int((loop.time() - start) / interval))
            await asyncio.sleep(start + slot * interval - loop.time())

    async def _run(self, blocking: bool, work: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> T:
        if not blocking:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)


def _ignore(payload: bytes, source: Address) -> None:
    """Nothing is expected to come back: no RTCP."""
