"""An upper platform: lets lower ones register, asks for their catalogs, plays cameras, speaks to speakers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from interop.sim import sdp, xml
from interop.sim.alarms import AlarmDesk
from interop.sim.camera import Decoder, ScreenFactory
from interop.sim.net import Net
from interop.sim.playing import Playing
from interop.sim.queries import CatalogReport, Queries
from interop.sim.reasons import Told, answered, unanswered
from interop.sim.registrar import Registered, Registrar
from interop.sim.speaking import WELL_MANNERED, Broadcast, Broadcasts, Manner
from interop.sim.subscribing import Subscriptions
from interop.words import Saying, saying
from sip._native import ha1
from sip.aio.calls import Call, Calls
from sip.endpoint import Endpoint, Party
from sip.errors import Declined, SipError
from sip.events import Event, Kind, Reply
from sip.uri import host_port

PTZ_LEFT: Final = "A50F0102400000F7"
PTZ_STOP: Final = "A50F0100000000B5"


class PlayRefused(Told):
    """An INVITE of ours that was not accepted. `status` 0: no answer, or one that can't be used."""

    def __init__(self, channel: str, status: int, reason: str | Saying) -> None:
        super().__init__(saying("why.channel", channel=channel, why=answered(status, reason)))
        self.channel = channel
        self.status = status
        self.reason = str(reason)


SOON: Final = (("Retry-After", "1"),)
"""Beside a 503, in seconds."""


class UpperPlatform:
    """Takes REGISTER, MESSAGE and INVITE of its endpoint for itself; its engine checks the digests.

    `passwords` by id of who may register; the engine's realm must be `realm` (the domain of
    `endpoint.me` when None). `media_host` is the address that media is received on and sent from.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        calls: Calls,
        net: Net,
        media_host: str,
        passwords: Mapping[str, str],
        realm: str | None = None,
        charset: str = "GB2312",
        open_screen: ScreenFactory = Decoder,
        workers: Executor | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.refused: list[PlayRefused] = []
        self.deaf: Callable[[xml.Message], bool] = lambda message: False  # answers it takes and forgets
        self.playing: dict[str, Playing] = {}
        self._endpoint = endpoint
        self._calls = calls
        self._net = net
        self._media_host = media_host
        self._open_screen = open_screen
        self._workers = workers
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._serial = 0
        self.registrar = Registrar(passwords, wall)
        self._queries = Queries(endpoint, self.registrar, charset)
        self.alarms = AlarmDesk(endpoint, charset)
        self.subscriptions = Subscriptions(endpoint, self.registrar, charset)
        self.broadcasts = Broadcasts(
            endpoint,
            net,
            media_host,
            charset,
            next_sn=self._queries.next_sn,
            own_ssrc=self._new_ssrc,
        )
        for user, password in passwords.items():
            endpoint.stack.set_credentials(user, [("MD5", ha1(user, realm or endpoint.me.host, password))])
        endpoint.handle(Kind.REGISTER, self.registrar.decide)
        endpoint.handle(Kind.MESSAGE, self._messages)
        endpoint.handle(Kind.REQUEST, self.subscriptions.decide, methods=["NOTIFY"])
        calls.on_invite = self.broadcasts.invited

    # Who is there

    def registered(self) -> tuple[Registered, ...]:
        """Who is registered and within its lease."""
        return self.registrar.registered()

    async def wait_registered(self, platform: str) -> Registered:
        """Return once that id is registered."""
        return await self.registrar.wait_registered(platform)

    def _messages(self, run: list[Event]) -> Sequence[Reply]:
        answers = [(event.transaction, self._message(event)) for event in run]
        return [(number, status, SOON) if status == 503 else (number, status) for number, status in answers]

    def _message(self, event: Event) -> int:
        message = xml.read(event.body)
        if message is None:
            return 400
        bound = self.registrar.admits(event)
        if bound is None:
            return 403
        if (message.root, message.cmd_type) == ("Notify", "Keepalive"):
            self.registrar.alive(bound)
        elif (message.root, message.cmd_type) == ("Notify", "Alarm"):
            return self.alarms.take(message, bound)
        elif message.root == "Response" and not self.deaf(message) and not self.broadcasts.hear(message):
            self._queries.hear(message)
        return 200

    # Questions

    async def catalog(
        self,
        platform: str | None = None,
        *,
        target: str | None = None,
        quiet_seconds: float = 10.0,
        on_page: Callable[[int, int], None] = lambda items, announced: None,
    ) -> CatalogReport:
        """The catalog of `target` (the platform itself when None), as `Queries.catalog` collects it."""
        return await self._queries.catalog(
            platform, target=target, quiet_seconds=quiet_seconds, on_page=on_page
        )

    async def device_info(self, platform: str | None = None, *, target: str | None = None) -> dict[str, str]:
        """What a platform or channel says of itself, text by tag. Raises NotRegistered, QueryFailed."""
        return await self._queries.single("DeviceInfo", platform, target)

    async def device_status(
        self, platform: str | None = None, *, target: str | None = None
    ) -> dict[str, str]:
        """How a platform or channel is, text by tag. Raises NotRegistered, QueryFailed."""
        return await self._queries.single("DeviceStatus", platform, target)

    # Control

    async def control(self, channel: str, ptz: str, *, via: str | None = None) -> int:
        """Send a PTZCmd (16 hex digits, see `PTZ_STOP`); the status of its answer, 0 if there is none.

        Raises:
            NotRegistered: `via` (the only one when None) is not there.
        """
        fields: xml.Fields = [("PTZCmd", ptz), ("Info", [("ControlPriority", "5")])]
        return await self._queries.control(fields, via, channel)

    # Pictures and voices

    @asynccontextmanager
    async def play(
        self,
        channel: str,
        *,
        via: str | None = None,
        camera: int | None = None,
        snapshot: Path | None = None,
        recording: Path | None = None,
        answer_seconds: float = 20.0,
    ) -> AsyncIterator[Playing]:
        """Hold a live stream of `channel` of the platform `via` (the only one when None).

        `camera` is the number its strip must carry; None accepts the first. The first picture is saved
        at `snapshot` as PNG; `Playing.finish` writes the whole program stream to `recording`. On entry the
        call is set up; leaving hangs up.

        Raises:
            NotRegistered, PlayRefused: the latter is also kept in `refused`.
        """
        bound = self.registrar.need(via)
        ssrc = self._new_ssrc()
        playing = Playing(
            channel,
            self._open_screen(),
            camera=camera,
            snapshot=snapshot,
            recording=recording,
            workers=self._workers,
            wall=self._wall,
            started=self._loop.time(),
        )
        port = self._net.datagrams((self._media_host, 0), playing.receive)
        try:
            offer = sdp.Description(
                owner=self._endpoint.me.user, host=self._media_host, port=port.address[1], ssrc=ssrc
            )
            outgoing = self._endpoint.request(
                "INVITE",
                Party(channel, bound.domain),
                bound.address,
                uri=f"sip:{channel}@{host_port(*bound.address)}",
                headers=[("Subject", f"{channel}:{ssrc:010d},{self._endpoint.me.user}:0")],
                body=sdp.write(offer),
                content_type=sdp.CONTENT_TYPE,
            )
            async with AsyncExitStack() as held:
                try:
                    place = self._calls.place(outgoing, answer_seconds=answer_seconds)
                    call = await held.enter_async_context(place)
                except Declined as error:
                    raise self._refusal(channel, error.status, error.reason) from None
                except SipError as error:
                    raise self._refusal(channel, 0, unanswered(error)) from None
                self._prepare(playing, call, ssrc)
                call.ack()
                await held.enter_async_context(self._held(playing, call))
                yield playing
        finally:
            port.close()

    @asynccontextmanager
    async def broadcast(
        self,
        target: str,
        *,
        via: str | None = None,
        source: str | None = None,
        listeners: int = 1,
        manner: Manner = WELL_MANNERED,
        voice: int = 0,
        answer_seconds: float = 20.0,
    ) -> AsyncIterator[Broadcast]:
        """Hold a voice for `target` of the platform `via` (the only one when None).

        On entry the Response said OK and `listeners` have fetched the voice, in whatever order; it is
        being spoken. Leaving hangs up. `source` is ours when None; `voice` chooses who speaks.

        Raises:
            NotRegistered, BroadcastRefused: the latter is also kept in `broadcasts.refused`.
        """
        bound = self.registrar.need(via)
        async with self.broadcasts.announce(
            target,
            bound,
            source=source or self._endpoint.me.user,
            listeners=listeners,
            manner=manner,
            voice=voice,
            answer_seconds=answer_seconds,
        ) as held:
            yield held

    def _prepare(self, playing: Playing, call: Call, ssrc: int) -> None:
        answer = sdp.read(call.event.body)
        if answer is None or answer.payload_type is None:
            raise self._refusal(playing.channel, 0, saying("why.answer_sdp"))
        playing.expect(ssrc if answer.ssrc is None else answer.ssrc, answer.payload_type)

    @asynccontextmanager
    async def _held(self, playing: Playing, call: Call) -> AsyncIterator[None]:
        """Decode beside the owner's waiting; note when the other end is over."""
        decoding = self._loop.create_task(playing.run())

        def over(ended: "asyncio.Future[str]") -> None:
            if not ended.cancelled():
                playing.hung_up(ended.result())

        call.ended.add_done_callback(over)
        self.playing[call.event.call_id] = playing
        try:
            yield
        finally:
            call.ended.remove_done_callback(over)
            del self.playing[call.event.call_id]
            decoding.cancel()
            await asyncio.gather(decoding, return_exceptions=True)

    async def drained(self, sent: Mapping[str, int], *, seconds: float = 2.0) -> bool:
        """Wait until every channel's stream has come as far as `sent` packets, received or lost."""
        waits = [playing.reached(sent.get(playing.channel, 0)) for playing in self.playing.values()]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*waits)
        except TimeoutError:
            return False
        return True

    def _refusal(self, channel: str, status: int, reason: str | Saying) -> PlayRefused:
        refused = PlayRefused(channel, status, reason)
        self.refused.append(refused)
        return refused

    def _new_ssrc(self) -> int:
        """0 for live, digits 4 to 8 of our id, four that count (annex C.1)."""
        self._serial = self._serial % 9999 + 1
        return int(f"0{self._endpoint.me.user[3:8]}{self._serial:04d}")
