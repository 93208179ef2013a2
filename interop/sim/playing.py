"""One stream as the upper platform receives it: order, pictures, numbers in them, times."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple, Unpack

from interop.sim import ps
from interop.sim.camera import Screen, Shown, Still
from interop.sim.net import Address
from interop.sim.rtp import Frame, Receiver
from interop.sim.strip import CLOCK_MODULUS, Reading

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_WAITING: Final = 250  # frames that may wait for the decoder, ten seconds; then the newest are lost
_EARLY: Final = 512  # datagrams kept that come before the answer to our INVITE
_MAX_DELAYS: Final = 10_000
_RATE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class PlayReport:
    """What came of one stream so far. Times in milliseconds, hashes in hex.

    `frames_*` speak of whole pictures by the numbers in them: `frames_lost` are numbers that never came
    between the first and the last seen, `frames_repeated` came twice or out of order, `wrong_camera`
    carried another camera's number, `unreadable` had no readable strip (the user's own video).
    """

    channel: str
    ssrc: int | None
    setup_ms: float | None  # INVITE sent to first RTP; None: no RTP yet
    first_picture_ms: float | None
    packets_received: int
    packets_lost: tuple[int, ...]  # extended sequence numbers, the first 10,000
    packets_lost_count: int
    packets_repeated: int
    packets_late: int
    packets_foreign: int  # not RTP, or another payload type, SSRC or sequence
    payload_bytes: int
    sha256: str  # over the PS bytes in sequence order
    first_timestamp: int | None
    last_timestamp: int | None
    frames_received: int
    frames_damaged: int
    frames_decoded: int
    frames_lost: tuple[int, ...]
    frames_repeated: int
    wrong_camera: int
    unreadable: int
    frames_dropped: int  # the decoder was too slow for them
    first_frame: int | None
    last_frame: int | None
    camera: int | None
    delays_ms: tuple[float, ...]  # glass to glass, one a picture, the last 10,000
    bits_per_second: float  # payload, over the last two seconds
    snapshot: Path | None
    ended: str | None  # why the other end is over, None while it is not


class Playing:
    """Takes datagrams at once, decodes in order in a task. `run` it as long as the stream is held."""

    def __init__(
        self,
        channel: str,
        screen: Screen,
        *,
        camera: int | None,
        snapshot: Path | None,
        recording: Path | None,
        workers: Executor | None,
        wall: Callable[[], float],
        started: float,
    ) -> None:
        self.channel = channel
        self.ended: str | None = None
        self.over = asyncio.Event()  # set when the other end has hung up
        self.first_rtp = asyncio.Event()
        self._progress = asyncio.Event()
        self._finished = False
        self._screen = screen
        self._camera = camera
        self._snapshot = snapshot
        self._saved: Path | None = None
        self._recording = recording
        self._recorded: list[bytes] = []
        self._saving: asyncio.Task[None] | None = None
        self._workers = workers
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._started = started
        self._receiver: Receiver | None = None
        self._early: deque[bytes] = deque(maxlen=_EARLY)
        self._queue: asyncio.Queue[Frame] = asyncio.Queue(_WAITING)
        self._setup_ms: float | None = None
        self._first_picture_ms: float | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._timestamps: tuple[int, int] | None = None
        self._delays: deque[float] = deque(maxlen=_MAX_DELAYS)
        self._lost: list[int] = []
        self._numbers: tuple[int, int] | None = None  # first and last frame number seen
        self._received = self._damaged = self._decoded = self._dropped = 0
        self._repeated = self._wrong = self._unreadable = 0

    def receive(self, datagram: bytes, source: Address) -> None:
        """From the port. Until `expect` is called, datagrams are kept."""
        if self._finished:
            return
        if self._receiver is None:
            if self._setup_ms is None:
                self._arrived()
            self._early.append(datagram)
            return
        before = self._receiver.received
        frames = self._receiver.feed(datagram)
        if self._receiver.received > before:
            if self._setup_ms is None:
                self._arrived()
            self._recent.append((self._loop.time(), len(datagram)))
            self._progress.set()
        self._take(frames)

    def expect(self, ssrc: int | None, payload_type: int) -> None:
        """What the answer to our INVITE says; `ssrc` None takes that of the first packet."""
        self._receiver = Receiver(ssrc, payload_type=payload_type)
        while self._early:
            self._take(self._receiver.feed(self._early.popleft()))
        if not self._receiver.received:  # what came early was not ours
            self._setup_ms = None
            self.first_rtp.clear()

    async def run(self) -> None:
        """Decode what arrives, in order, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                frame = await self._queue.get()
                try:
                    await self._show(frame, group)
                finally:
                    self._queue.task_done()

    async def finish(self) -> PlayReport:
        """Take nothing more, give up on missing packets, decode what is in hand; the report after that."""
        if self._finished:
            return self.report()
        self._finished = True
        if self._receiver is not None:
            self._take(self._receiver.finish())
        await self._queue.join()
        if self._saving is not None:
            await self._saving
        self._note(await self._run(self._screen.close), self._wall())
        if self._recording is not None:
            self._recording.parent.mkdir(parents=True, exist_ok=True)
            self._recording.write_bytes(b"".join(self._recorded))
        return self.report()

    def hung_up(self, reason: str) -> None:
        """The other end is over."""
        self.ended = reason
        self.over.set()

    @property
    def packets(self) -> int:
        """Received and lost: how far the stream has come."""
        return self._receiver.received + self._receiver.lost_count if self._receiver else 0

    async def reached(self, packets: int) -> None:
        """Return once so many packets were received or are known to be lost."""
        while self.packets < packets:
            self._progress.clear()
            await self._progress.wait()

    def report(self) -> PlayReport:
        receiver = self._receiver or Receiver()
        first, last = self._timestamps or (None, None)
        first_frame, last_frame = self._numbers or (None, None)
        return PlayReport(
            channel=self.channel,
            ssrc=receiver.ssrc,
            setup_ms=self._setup_ms,
            first_picture_ms=self._first_picture_ms,
            packets_received=receiver.received,
            packets_lost=tuple(receiver.lost),
            packets_lost_count=receiver.lost_count,
            packets_repeated=receiver.repeated,
            packets_late=receiver.late,
            packets_foreign=receiver.foreign,
            payload_bytes=receiver.payload_bytes,
            sha256=receiver.sha256,
            first_timestamp=first,
            last_timestamp=last,
            frames_received=self._received,
            frames_damaged=self._damaged,
            frames_decoded=self._decoded,
            frames_lost=tuple(self._lost),
            frames_repeated=self._repeated,
            wrong_camera=self._wrong,
            unreadable=self._unreadable,
            frames_dropped=self._dropped,
            first_frame=first_frame,
            last_frame=last_frame,
            camera=self._camera,
            delays_ms=tuple(self._delays),
            bits_per_second=self._rate(),
            snapshot=self._saved,
            ended=self.ended,
        )

    def _arrived(self) -> None:
        self._setup_ms = (self._loop.time() - self._started) * 1000
        self.first_rtp.set()

    def _rate(self) -> float:
        """Bits of RTP a second over the last two seconds; too few in the first second."""
        since = self._loop.time() - _RATE_SECONDS
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        if len(self._recent) < 2:
            return 0.0
        span = max(self._loop.time() - self._recent[0][0], 1.0)
        return sum(size for _, size in self._recent) * 8 / span

    def _take(self, frames: list[Frame]) -> None:
        if len(self._recent) > 10_000:
            self._rate()
        for frame in frames:
            self._received += 1
            if self._recording is not None:
                self._recorded.append(frame.payload)
            first = self._timestamps[0] if self._timestamps else frame.timestamp
            self._timestamps = first, frame.timestamp
            try:
                self._queue.put_nowait(frame)
            except asyncio.QueueFull:
                self._dropped += 1

    async def _show(self, frame: Frame, group: asyncio.TaskGroup) -> None:
        unit = ps.demux(frame.payload)
        if unit is None or unit.damaged:
            self._damaged += 1
        if unit is None:
            return
        shown, moment = await self._run(self._show_unit, unit)
        self._note(shown, moment)
        if shown and self._first_picture_ms is None:
            self._first_picture_ms = (self._loop.time() - self._started) * 1000
            still = self._screen.still()
            if self._snapshot is not None and still is not None:
                self._saving = group.create_task(self._save(still, self._snapshot))

    def _show_unit(self, unit: ps.AccessUnit) -> tuple[list[Shown], float]:
        """In a worker: the pictures, and when they were there to be seen."""
        return self._screen.show(unit), self._wall()

    async def _save(self, still: Still, path: Path) -> None:
        """Beside the decoding, which goes on: making a PNG may take longer than a frame."""
        try:
            await self._run(still, path)
        except OSError as error:
            log.error("sim.no_snapshot", extra={"path": str(path), "reason": str(error)})
        else:
            self._saved = path

    async def _run(self, work: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> T:
        if not self._screen.blocking:
            return work(*arguments)
        return await self._loop.run_in_executor(self._workers, work, *arguments)

    def _note(self, shown: list[Shown], moment: float) -> None:
        for picture in shown:
            self._decoded += 1
            if picture.reading is None:
                self._unreadable += 1
            else:
                self._note_reading(picture.reading, moment)

    def _note_reading(self, reading: Reading, moment: float) -> None:
        if self._camera is None:
            self._camera = reading.camera
        if reading.camera != self._camera:
            self._wrong += 1
            return
        if self._numbers is None:
            self._numbers = reading.frame, reading.frame
        elif reading.frame <= self._numbers[1]:
            self._repeated += 1
        else:
            first, last = self._numbers
            room = _MAX_DELAYS - len(self._lost)
            self._lost.extend(range(last + 1, min(reading.frame, last + 1 + room)))
            self._numbers = first, reading.frame
        late = (moment * 1000 - reading.clock_ms) % CLOCK_MODULUS
        self._delays.append(late if late < CLOCK_MODULUS / 2 else late - CLOCK_MODULUS)
