"""One connection on its way through asyncio: moves bytes between a transport and a `LinkSession`.

Decides nothing. Frames that are sent in one turn of the loop leave as one write.
"""

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

from certs.identities import SideName
from gateway.chamber.link.frames import Kind
from gateway.chamber.link.session import Greeting, LinkSession, Output, Over
from gateway.chamber.link.why import Why

if TYPE_CHECKING:
    from certs.trust import Certified

FLUSH_SECONDS: Final = 2.0
"""How long a connection that is over may take to send its last words."""


class Owner(Protocol):
    def began(self, connection: "Connection", host: str) -> LinkSession | Why:
        """A connection with `host` was made: how it goes on, or why not."""
        ...

    def took(self, connection: "Connection", output: Output) -> None:
        """What came of it; `Over` once, as the last."""
        ...

    def looked(self) -> None:
        """A little time has passed."""
        ...


class Connection(asyncio.Protocol):
    """`dialler`: the side that connected. `gone` once the transport is."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop, dialler: SideName) -> None:
        self.dialler: Final = dialler
        self.gone: asyncio.Future[None] = loop.create_future()
        self.greeting: Greeting | None = None  # what we said in ours
        self.certified: tuple[Certified, ...] = ()  # we and they, once greeted
        self.heard = 0  # frames of the era that came over this one, and before it
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._session: LinkSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False

    def send(self, kind: Kind, body: bytes) -> None:
        """Queue one frame; it leaves at the end of this turn of the loop."""
        if self._session is not None:
            self._session.send(kind, body)
            self._flush_soon()

    def alive(self) -> None:
        """Tell the other end how much was heard, at the end of this turn of the loop."""
        if self._session is not None:
            self._session.alive(self._loop.time())
            self._flush_soon()

    @property
    def round_trip(self) -> float | None:
        return None if self._session is None else self._session.round_trip

    def close(self, why: Why) -> None:
        """Tell the other end why, and be over."""
        if self._session is not None:
            self._session.close(why)
            self._drain()
        elif self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        host, *_ = self._transport.get_extra_info("peername") or ("",)
        found = self._owner.began(self, host)
        if isinstance(found, Why):
            self._owner.took(self, Over(found))
            self._transport.abort()
            return
        self._session = found
        self._drain()

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.feed(data, self._loop.time())
            self._drain()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session is not None:
            self._session.lost(exc if isinstance(exc, OSError) else None)
            self._drain()
        if self._timer is not None:
            self._timer.cancel()
        if not self.gone.done():
            self.gone.set_result(None)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._drain()

    def _drain(self) -> None:
        """Hand on what the session says, then write what it wants written."""
        session, transport = self._session, self._transport
        assert session is not None
        assert transport is not None
        for output in session.events():
            self._owner.took(self, output)
        data = session.output()
        if data and not transport.is_closing():
            transport.write(data)
        if not session.over:
            self._plan(session.deadline)
        elif not transport.is_closing():
            transport.close()
            self._loop.call_later(FLUSH_SECONDS, transport.abort)

    def _plan(self, deadline: float) -> None:
        """Wake at `deadline`, or before: what comes meanwhile mostly moves it, and costs no timer so."""
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._due)

    def _due(self) -> None:
        assert self._session is not None
        self._timer = None
        self._session.advance(self._loop.time())
        self._owner.looked()
        self._drain()
