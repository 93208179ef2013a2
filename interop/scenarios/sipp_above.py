"""sipp as the demo's upper platform: cued like an actor, it plays its scenario, and this watches its log.

sipp knows no media. The port that its SDP names is ours, and what arrives there is decoded as any
stream is; all that is said about signalling is what sipp saw.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGUSR1
from typing import Final

from interop.demo.cast import INNER_ID, UPPER_ID
from interop.scenarios.programs import PATIENCE, Program, until
from interop.scenarios.sipp import Logged, final_answer, logged, sipp
from interop.scenarios.stage import SIP, People
from interop.sim import sdp, xml
from interop.sim.camera import Decoder
from interop.sim.net import Address, Port, RealNet
from interop.sim.playing import Playing
from interop.sim.queries import CatalogReport
from interop.sim.upper import PlayRefused

SSRC: Final = 7
SN: Final = "17430"
"""Of its catalog query; with `SSRC` it stands in the scenario file."""

DRAIN_SECONDS: Final = 2.0


class SippAbove:
    """As `interop.demo.scene.Upper` wants it: for one camera, and one that is refused."""

    def __init__(
        self, program: Program, folder: Path, people: People, director: Port, workers: Executor
    ) -> None:
        self.program = program
        self._folder = folder
        self._people = people
        self._director = director
        self._workers = workers
        self._cued: set[str] = set()
        self._playing: Playing | None = None
        self._early: deque[tuple[bytes, Address]] = deque(maxlen=512)

    def receive(self, datagram: bytes, source: Address) -> None:
        """From the media port."""
        if self._playing is None:
            self._early.append((datagram, source))
        else:
            self._playing.receive(datagram, source)

    def registered(self) -> Sequence[object]:
        return [
            one for one in logged(self._folder) if one.sent and one.method == "REGISTER" and one.status == 200
        ]

    async def wait_registered(self, platform: str, /) -> object:
        return await until(self.registered)

    async def catalog(self, *, quiet_seconds: float, on_page: Callable[[int, int], None]) -> CatalogReport:
        """What came in answer to its query, once that is all, or nothing more comes."""
        self._cue("ask")
        moment = time.monotonic()
        seen = -1
        while True:
            pages = self._pages()
            items = [item for page in pages for item in xml.items(page)]
            announced = int(pages[0].text("SumNum")) if pages else None
            if len(items) != seen:
                seen, moment = len(items), time.monotonic()
                on_page(seen, announced or 0)
            if seen == announced or time.monotonic() > moment + quiet_seconds:
                return CatalogReport(tuple(items), announced, len(pages), seen == announced)
            await asyncio.sleep(0.02)

    def _pages(self) -> list[xml.Message]:
        told = (one for one in logged(self._folder) if not one.sent and one.start.startswith("MESSAGE "))
        return [page for page in map(xml.read, (one.body for one in told)) if page and page.sn == SN]

    async def control(self, channel: str, ptz: str, /) -> int:
        """Turning the camera comes by itself, once the refused one has been asked for."""
        turned = await until(lambda: self._began("MESSAGE", "turn"))
        return (await until(lambda: final_answer(self._folder, turned.call))).status

    @asynccontextmanager
    async def play(
        self,
        channel: str,
        *,
        camera: int | None = None,
        snapshot: Path | None = None,
        recording: Path | None = None,
    ) -> AsyncIterator[Playing]:
        self._cue("play")
        invited = await until(lambda: self._began("INVITE", channel), seconds=0.002)
        loop = asyncio.get_running_loop()
        playing = Playing(
            channel,
            Decoder(),
            camera=camera,
            snapshot=snapshot,
            recording=recording,
            workers=self._workers,
            wall=time.time,
            started=loop.time() - (time.time() - invited.moment),
        )
        if self._playing is None:
            self._playing = playing
            while self._early:
                playing.receive(*self._early.popleft())
        answer = await until(lambda: final_answer(self._folder, invited.call))
        if answer.status != 200:
            raise PlayRefused(channel, answer.status, answer.start.split(" ", 2)[2])
        described = sdp.read(answer.body)
        assert described is not None
        assert described.payload_type is not None
        playing.expect(described.ssrc, described.payload_type)
        decoding = loop.create_task(playing.run())
        try:
            yield playing
        finally:
            self._cue("over")
            await until(
                lambda: [one for one in logged(self._folder) if one.method == "BYE" and one.status == 200]
            )
            decoding.cancel()
            await asyncio.gather(decoding, return_exceptions=True)

    async def drained(self, sent: Mapping[str, int], /) -> bool:
        """Wait until the stream has come as far as `sent` packets, received or lost."""
        playing = self._playing
        if playing is None:
            return True
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await playing.reached(sent.get(playing.channel, 0))
        except TimeoutError:
            return False
        return True

    async def stopped(self) -> int:
        """After the gateway has taken back its registration: its exit code, 0 if all went as written."""
        async with asyncio.timeout(PATIENCE):
            return await self.program.stop(SIGUSR1)

    def _began(self, method: str, word: str) -> Logged | None:
        """The request of sipp's own that begins so and names that, once it was sent."""
        for one in logged(self._folder):
            if one.sent and one.start.startswith(f"{method} ") and word in f"{one.start} {one.call}":
                return one
        return None

    def _cue(self, word: str) -> None:
        """Go on to `word`, once: a request that is no part of the play (INFO), from a socket of its own."""
        if word in self._cued:
            return
        self._cued.add(word)
        host, number = self._director.address
        lines = (
            f"INFO sip:{UPPER_ID}@{self._people.upper} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{number};branch=z9hG4bK{word}{number}",
            f"From: <sip:director@{host}>;tag={word}",
            f"To: <sip:{UPPER_ID}@{self._people.upper}>",
            f"Call-ID: cue-{word}-{number}@{host}",
            "CSeq: 1 INFO",
            f"Subject: {word}",
            "Max-Forwards: 70",
            "Content-Length: 0",
        )
        self._director.send(
            "".join(f"{line}\r\n" for line in (*lines, "")).encode(), (self._people.upper, SIP)
        )


@asynccontextmanager
async def sipp_above(
    folder: Path, people: People, camera: str, kept: str, workers: Executor
) -> AsyncIterator[SippAbove]:
    """Run it for the camera that is played and the one that is refused; `stopped` ends it well."""
    late: list[SippAbove] = []
    net, here = RealNet(), (people.upper, 0)
    port = net.datagrams(here, lambda *arrived: late[0].receive(*arrived))
    director = net.datagrams(here, lambda _datagram, _source: None)
    keys = {
        "my_id": UPPER_ID,
        "my_domain": UPPER_ID[:10],
        "peer_id": INNER_ID,
        "peer_domain": INNER_ID[:10],
        "camera": camera,
        "kept": kept,
        "rtp_port": str(port.address[1]),
    }
    try:
        async with sipp(
            folder, "-sf", "upper.xml", host=people.upper, gateway=people.inner, keys=keys
        ) as program:
            late.append(SippAbove(program, folder, people, director, workers))
            await program.listens(f"{people.upper}:{SIP}")
            yield late[0]
    finally:
        port.close()
        director.close()
