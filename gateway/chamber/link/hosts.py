"""One side's end of the link between two hosts: connections come and go, the gate sees one link.

What was sent is kept until the other end has heard it, so a cut that is mended within `SURVIVES_SECONDS`
loses nothing, and nobody notices but who asks something meanwhile. After a longer one the two ends begin
anew: `on_linked` says that the other side is gone, and later that there is one which knows nothing of us.
"""

import asyncio
import hashlib
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from cascade.crossing import Crossing, Direction
from certs.ca import NotOurs
from certs.identities import Identity, SideName
from certs.trust import Certified, Trust
from gateway.chamber.codec import CodecError, decode, encode
from gateway.chamber.kinds import asks_something
from gateway.chamber.link import LinkUnavailable, Signal, nobody, unheard
from gateway.chamber.link.connection import Connection
from gateway.chamber.link.frames import KEPT, LIFE, MAX_MEDIA_BYTES, BadFrame, Kind
from gateway.chamber.link.plug import Listening, Plug
from gateway.chamber.link.session import NONCE_BYTES, Arrived, Greeted, Greeting, LinkSession, Output, Over
from gateway.chamber.link.standing import LinkView, certificate
from gateway.chamber.link.unheard import MAX_BYTES, Unheard
from gateway.chamber.link.watch import Watch
from gateway.chamber.link.why import Why, distrusted
from gateway.words import saying
from gateway.words.sentences import recognised
from gateway.words.system import reason

log: Final = logging.getLogger("gateway.chamber.link")

SURVIVES_SECONDS: Final = 5.0
"""A cut of the link that is mended so soon ends no session."""
DIAL_SECONDS: Final = 2.0
"""An attempt that has met no answer by then is given up: TCP has tried twice in that time."""
FIRST_PAUSE_SECONDS: Final = 0.5
MAX_PAUSE_SECONDS: Final = 30.0
"""Between two attempts to connect; doubled each time, and shortened by chance, to a half at most."""
MAX_GREETING: Final = 8
"""Connections that have not said yet who they are."""
LOOK_SECONDS: Final = 10.0
"""So often the list of what is revoked is read while a connection stands."""
HEARD_FRAMES: Final = 64
HEARD_BYTES: Final = 1024 * 1024
"""After so much the sender is told at once that it was heard."""

SIGNALS: Final[dict[Signal, Kind]] = {"shut": Kind.SHUT, "open": Kind.OPEN, "anew": Kind.ANEW}
SIGNALLED: Final = {kind: signal for signal, kind in SIGNALS.items()}

BETRAYED: Final = frozenset({"frame", "crossing", "theirs", "ours"})
"""After these nothing that was on its way is trusted: both ends begin anew."""

SENDS: Final[dict[SideName, Direction]] = {"outer": "inward", "inner": "outward"}
OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}
PREFERRED: Final[SideName] = "inner"
"""Where both have dialled, the connection that this side dialled is the one that stays."""


def _nobody_hears(_linked: bool) -> None:
    pass


def _no_media(_message: bytes) -> None:
    raise BadFrame("nobody here takes media")


def _nothing() -> None:
    pass


class HostsEnd:
    """Satisfies `LinkEnd`. Call `open` once the gate is there; `close` says goodbye.

    `dialler` is the side that connects, None where both do. `other_host`: from where alone a connection
    may come. `trust` reads this host's files, anew for each connection.
    """

    def __init__(
        self,
        side: SideName,
        *,
        plug: Plug,
        dialler: SideName | None,
        other_host: str,
        other: Identity,
        trust: Callable[[], Trust],
        alive_seconds: float,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        random: Random,
        unheard_bytes: int = MAX_BYTES,
    ) -> None:
        self.on_arrival: Callable[[Crossing], None] = nobody
        self.on_signal: Callable[[Signal], None] = unheard
        self.on_linked: Callable[[bool], None] = _nobody_hears
        self.on_media: Callable[[bytes], None] = _no_media
        self.on_joined: Callable[[], None] = _nothing
        self.counts: Counter[str] = Counter()
        self.linked = False  # does the other side know of us, as far as we know
        self._side: Final = side
        self._plug = plug
        self._dialler = dialler
        self._other_host = other_host
        self._other = other
        self._trust = trust
        self._alive_seconds = alive_seconds
        self._loop = loop
        self._wall = wall
        self._random = random
        self._unheard = Unheard(unheard_bytes)
        self._era = b""
        self._heard = 0
        self._heard_told = 0
        self._heard_bytes = 0
        self._current: Connection | None = None
        self._greeting: set[Connection] = set()
        self._alone = asyncio.Event()
        self._alone.set()
        self._patience: asyncio.TimerHandle | None = None
        self._listening: Listening | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._closed = False
        self._watch = Watch(side, loop.time, wall)
        self._next_look = 0.0
        self._since = loop.time()  # it is up, or down
        self._why: Why | None = None  # it is down, as far as that is known
        self._certified: tuple[Certified, ...] = ()  # we and they, of the newest connection

    # What the gate and the media ask

    @property
    def up(self) -> bool:
        """Is there a connection now?"""
        return self._current is not None

    @property
    def unheard(self) -> int:
        """How many frames the other end has not heard yet, as far as we know."""
        return len(self._unheard)

    def view(self) -> LinkView:
        """How it stands."""
        current, why = self._current, self._why
        own, other = (*map(certificate, self._certified),) if self._certified else (None, None)
        return LinkView(
            up=self.up,
            since=self._wall() - (self._loop.time() - self._since),
            dialler=None if current is None else current.dialler,
            why=None if why is None else why.said,
            remedy=None if why is None else why.remedy,
            own=own,
            other=other,
            round_trip=None if current is None else current.round_trip,
            unheard=len(self._unheard),
            counts={**self.counts, "clock-jumps": self._watch.jumps},
        )

    def deliver(self, crossing: Crossing) -> None:
        if self._current is None and (not self.linked or asks_something(crossing)):
            raise LinkUnavailable("the link to the other side is down")
        try:
            body = encode(crossing)
        except CodecError as error:
            raise LinkUnavailable(str(error)) from error
        self._keep(Kind.CROSSING, body)

    def signal(self, signal: Signal) -> None:
        if self.linked:
            self._keep(SIGNALS[signal], b"")

    def send_media(self, message: bytes) -> None:
        """One message to the media of the other host, in order; lost where the link is down."""
        if self._current is not None and len(message) <= MAX_MEDIA_BYTES:
            self._current.send(Kind.MEDIA, message)

    def _keep(self, kind: Kind, body: bytes) -> None:
        self._unheard.add(kind, body)
        if self._current is not None:
            self._current.send(kind, body)

    def adopt(self, trust: Callable[[], Trust], alive_seconds: float, unheard_bytes: int = MAX_BYTES) -> None:
        """Read this host's files so from the next connection on; part soon with who is revoked by them."""
        self._trust = trust
        self._alive_seconds = alive_seconds
        self._unheard.max_bytes = unheard_bytes
        self._next_look = self._loop.time()

    # Life

    async def open(self) -> None:
        """Listen and dial, as configured. Raises OSError: our address is not to be had."""
        if self._dialler != self._side:
            self._listening = await self._plug.listen(lambda: Connection(self, self._loop, OTHER[self._side]))
        if self._dialler in {None, self._side}:
            self._dialling = self._loop.create_task(self._dial(), name="link")

    async def close(self) -> None:
        """Say goodbye; nothing is dialled or taken any more."""
        self._closed = True
        if self._listening is not None:
            self._listening.close()
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.gather(self._dialling, return_exceptions=True)
        left = [*self._greeting, *([] if self._current is None else [self._current])]
        for connection in left:
            connection.close(Why("stopping", saying("link.stopping")))
        await asyncio.gather(*(connection.gone for connection in left))
        if self._patience is not None:
            self._patience.cancel()

    async def _dial(self) -> None:
        """Connect whenever there is no connection: at first at once, and then less and less often."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._alone.wait()
            if self._dialler is None and self._side != PREFERRED:
                await asyncio.sleep(FIRST_PAUSE_SECONDS)  # mostly the other side's is there by then
                if self._current is not None:
                    continue
            begun = self._loop.time()
            connection = Connection(self, self._loop, self._side)
            try:
                async with asyncio.timeout(DIAL_SECONDS):
                    await self._plug.dial(lambda made=connection: made)  # type: ignore[misc]
            except TimeoutError:
                self._failed(Why("unreachable", saying("link.no_answer", seconds=DIAL_SECONDS)))
            except OSError as error:
                self._failed(Why("unreachable", saying("link.unreachable", why=reason(error))))
            else:
                await asyncio.shield(connection.gone)
            if self._loop.time() - begun > MAX_PAUSE_SECONDS:  # it was no vain attempt
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * (1.0 - self._random.random() / 2))
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    # What connections say

    def began(self, connection: Connection, host: str) -> LinkSession | Why:
        server = connection.dialler != self._side
        if self._closed:
            return Why("stopping", saying("link.stopping"))
        if server and host != self._other_host:
            return Why("stranger", saying("link.stranger", host=host))
        if server and len(self._greeting) >= MAX_GREETING:
            return Why("crowd", saying("link.crowd", count=MAX_GREETING))
        try:
            session = LinkSession(
                self._trust(),
                self._other,
                server=server,
                sends=SENDS[self._side],
                greet=lambda: self._greet(connection),
                heard=lambda: self._heard,
                alive_seconds=self._alive_seconds,
                wall=self._wall,
                now=self._loop.time(),
            )
        except ssl.SSLError as error:
            return Why("files", saying("link.files", why=error.reason or str(error)))
        except OSError as error:
            return Why("files", saying("link.file", file=str(error.filename or ""), why=reason(error)))
        except NotOurs as error:
            return Why("files", saying("link.files", why=recognised(str(error))))
        self._greeting.add(connection)
        return session

    def took(self, connection: Connection, output: Output) -> None:
        match output:
            case Greeted(greeting, certified, own):
                self._greeting.discard(connection)
                connection.certified = (own, certified)
                self._watch.certificates(own, certified)
                self._join(connection, greeting)
            case Arrived(kind, body) if connection is self._current:
                self._take(connection, kind, body)
            case Over(why):
                self._greeting.discard(connection)
                self._part(connection, why)

    def looked(self) -> None:
        self._watch.clocks()
        now = self._loop.time()
        if self._current is not None and now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look(self._current)

    def _look(self, connection: Connection) -> None:
        """Is a certificate of the connection that stands on the list by now?"""
        with suppress(OSError, NotOurs):  # somebody copies files just now: what was read before holds
            revoked = self._trust().revoked
            for certified, ours in zip(connection.certified, (True, False), strict=True):
                if certified.serial in revoked:
                    connection.close(distrusted("revoked", ours=ours))
                    return

    def _greet(self, connection: Connection) -> Greeting:
        nonce = self._random.randbytes(NONCE_BYTES)
        connection.greeting = Greeting(nonce=nonce, era=self._era, heard=self._heard)
        return connection.greeting

    def _join(self, connection: Connection, theirs: Greeting) -> None:
        """Another connection is open: is it the one, and does it go on where the last one broke?"""
        ours, current = connection.greeting, self._current
        assert ours is not None
        resumes = bool(ours.era) and ours.era == theirs.era
        loses = current is not None and current.dialler == PREFERRED != connection.dialler
        stale = resumes and (ours.era != self._era or not self._unheard.heard(theirs.heard))
        if loses or stale or self._closed:
            connection.close(Why("replaced", saying("link.replaced")))
            return
        self._current = None  # whatever is said of the end of an era belongs to no connection
        if current is not None:
            current.close(Why("replaced", saying("link.replaced")))
        self._alone.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.counts["resumed" if resumes else "begun"] += 1
        if current is None:
            self._since, self._why = self._loop.time(), None
        self._certified = connection.certified
        log.info("link.up", extra={"side": self._side, "resumed": resumes, "unheard": len(self._unheard)})
        if not resumes:
            self._begin(ours, theirs)
        self._current = connection
        connection.heard = ours.heard if resumes else 0
        for kind, body in self._unheard:
            connection.send(kind, body)
        if not self.linked:
            self.linked = True
            self.on_linked(True)
        self.on_joined()

    def _begin(self, ours: Greeting, theirs: Greeting) -> None:
        """A new era, whose name both ends make of what both have said."""
        self._give_up()
        self._era = hashlib.sha256(b"".join(sorted((ours.nonce, theirs.nonce)))).digest()[:NONCE_BYTES]
        self._heard = self._heard_told = self._heard_bytes = 0

    def _take(self, connection: Connection, kind: Kind, body: bytes) -> None:
        try:
            if kind in KEPT:
                connection.heard += 1
                if connection.heard > self._heard:  # else it came before, and was not known to have come
                    self._heard = connection.heard
                    self._take_kept(kind, body)
                    self._tell_heard(connection, len(body))
            elif kind is Kind.ALIVE:
                count, *_ = LIFE.unpack(body)
                if not self._unheard.heard(count):
                    raise BadFrame(f"{count} heard where {self._unheard.sent} were sent")
            elif kind is Kind.MEDIA:
                self.on_media(body)
        except CodecError as error:
            connection.close(Why("crossing", saying("link.crossing", why=recognised(str(error)))))
        except BadFrame as error:
            connection.close(Why("frame", saying("link.frame", why=recognised(str(error)))))

    def _take_kept(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.CROSSING:
            self.on_arrival(decode(body))
        else:
            self.on_signal(SIGNALLED[kind])

    def _tell_heard(self, connection: Connection, size: int) -> None:
        self._heard_bytes += size
        if self._heard - self._heard_told >= HEARD_FRAMES or self._heard_bytes >= HEARD_BYTES:
            self._heard_told, self._heard_bytes = self._heard, 0
            connection.alive()

    # Without a connection

    def _part(self, connection: Connection, why: Why) -> None:
        self.counts[why.counted] += 1
        if connection is not self._current:
            if why.kind not in {"replaced", "stopping"}:
                self._not_up(why)
            return
        self._current = None
        self._since, self._why = self._loop.time(), why
        self._alone.set()
        if why.kind == "stopping":
            log.info("link.closed", extra={"side": self._side, "reason": why.said})
        else:
            self._watch.down(why)
        if why.kind in BETRAYED:
            self._give_up()
        elif not self._closed:
            self._patience = self._loop.call_later(SURVIVES_SECONDS, self._give_up)

    def _failed(self, why: Why) -> None:
        """Of a connection that never came about."""
        self.counts[why.counted] += 1
        self._not_up(why)

    def _not_up(self, why: Why) -> None:
        self._watch.failed(why)
        if self._current is None:
            self._why = why

    def _give_up(self) -> None:
        """The other side, as it was, is gone: what it has not heard it will never hear."""
        lost = self._unheard.clear()
        self.counts["lost_frames"] += lost
        self._era = b""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self.linked:
            self.linked = False
            self.on_linked(False)
