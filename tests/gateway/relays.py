"""A relay on each of two hosts, and the leg between them over a made-up wire."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from certs.identities import Identity
from gateway.app import Gateway, SideName, Surroundings, open_gateway, open_host, open_side
from gateway.chamber.link import LinkEnd
from gateway.chamber.link.encoded import EncodedEnd, encoded_link
from gateway.config import Config, LinkConfig
from gateway.credentials.holders import Secrets
from media import stats
from media.link import Network as Leg
from media.link import Terms
from sip.events import Address
from tests.gateway.cable import HOST, Cable, Certificates
from tests.media.plane import CorePlane
from tests.sip.network import Network, OnDatagram, Port

HOSTS: Final[dict[SideName, tuple[str, int]]] = {"outer": ("192.0.2.1", 7000), "inner": ("192.0.2.2", 7000)}
OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}
FIRST: Final[dict[SideName, int]] = {"outer": 1_000, "inner": 2_001}
WALL: Final = 1_772_352_000.0  # as in tests/gateway/world.py
CONTROL_SECONDS: Final = 0.002
"""From one host to the other, of what goes over the control link."""


def two_relays(loop: asyncio.AbstractEventLoop) -> tuple[EncodedEnd, EncodedEnd]:
    """The link of a world whose sides have a relay each."""
    return encoded_link(loop)


def two_hosts(loop: asyncio.AbstractEventLoop) -> tuple[EncodedEnd, EncodedEnd]:
    """The link of a world whose sides have a host each: theirs is none of these, but TLS over a cable."""
    return encoded_link(loop)


class TwoRelays:
    """Both relays; what a scenario asks of the one relay in one process, it asks of both."""

    def __init__(self, network: Network, terms: Terms | None = None) -> None:
        self.network = network
        self.planes = {side: CorePlane(network.loop, network.datagrams) for side in HOSTS}
        self.legs = {side: self._leg(side, terms) for side in HOSTS}
        self.control_up = True
        self.messages: list[tuple[SideName, bytes]] = []

    def _leg(self, side: SideName, terms: Terms | None) -> Leg:
        leg = Leg(
            self.planes[side],
            start=FIRST[side],
            local=HOSTS[side],
            peer=HOSTS[OTHER[side]],
            loop=self.network.loop,
            terms=terms,
        )
        leg.send = lambda message: self._carry(side, message)
        return leg

    def _carry(self, side: SideName, message: bytes) -> None:
        self.messages.append((side, message))
        if self.control_up:
            self.network.loop.call_later(CONTROL_SECONDS, self.legs[OTHER[side]].receive, message)

    def join(self) -> None:
        """The control link is up (again)."""
        self.control_up = True
        for leg in self.legs.values():
            leg.joined()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            for leg in self.legs.values():
                await held.enter_async_context(leg)
            self.join()
            yield
        self.close()

    def trunk(self, side: SideName) -> stats.TrunkCounters:
        trunk = self.planes[side].counters().trunk
        assert trunk is not None
        return trunk

    # as of one relay

    def sockets(self) -> int:
        return sum(plane.sockets() for plane in self.planes.values())

    def streams(self) -> int:
        """Also those that have no socket."""
        return sum(len(plane.counters().streams) for plane in self.planes.values())

    def counters(self) -> stats.Counters:
        """Of each stream where its source is."""
        streams = {
            name: stream
            for side, plane in self.planes.items()
            for name, stream in plane.counters().streams.items()
            if int(name) % 2 == FIRST[side] % 2
        }
        return stats.Counters(streams=streams)

    def close(self) -> None:
        for plane in self.planes.values():
            plane.close()


class TwoHosts(TwoRelays):
    """Both relays, and all else that is between two hosts.

    `wire`: where the leg's datagrams go; their addresses are the same for every pair of hosts, so where
    there are several each has a wire of its own. By default it is one with both networks.
    """

    def __init__(self, network: Network, wire: Network | None = None) -> None:
        super().__init__(network)
        self.cable = Cable(network.loop)
        if wire is not None:

            def port(address: Address, on_datagram: OnDatagram) -> Port:
                between = address[0] in HOST.values()
                return (wire if between else network).datagrams(address, on_datagram)

            self.planes = {side: CorePlane(network.loop, port) for side in HOSTS}

    @asynccontextmanager
    async def opened(
        self, written: Config, secrets: Secrets, around: Callable[[CorePlane, Leg | None], Surroundings]
    ) -> AsyncIterator[Gateway]:
        link = LinkConfig(
            outer=HOST["outer"],
            inner=HOST["inner"],
            certs=str(certificates(written.outer.id, written.inner.id)),
        )
        given = replace(written, link=link)
        one, two = (around(self.planes[side], None) for side in HOSTS)
        async with (
            open_host("inner", given, secrets.inner, two, self.cable.plug("inner")) as inner,
            open_host("outer", given, secrets.outer, one, self.cable.plug("outer")) as outer,
        ):
            try:
                yield Gateway(outer, inner)
            finally:
                outer.side.stop()
                inner.side.stop()
        self.close()


@cache
def certificates(outer: str, inner: str) -> Path:
    """A folder that both hosts use; made once, since keys take their time."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    Certificates(folder, WALL, sides=(Identity("outer", outer), Identity("inner", inner)))
    return folder


@asynccontextmanager
async def opened(
    relay: CorePlane | TwoRelays,
    written: Config,
    secrets: Secrets,
    around: Callable[[CorePlane, Leg | None], Surroundings],
    ends: tuple[LinkEnd, LinkEnd],
) -> AsyncIterator[Gateway]:
    """Both sides on one loop, with the relays they are given; `around` makes the surroundings of a side."""
    if isinstance(relay, CorePlane):
        async with open_gateway(written, secrets, around(relay, None), ends) as gateway:
            yield gateway
        return
    if isinstance(relay, TwoHosts):
        async with relay.opened(written, secrets, around) as gateway:
            yield gateway
        return
    one, two = (around(relay.planes[side], relay.legs[side]) for side in HOSTS)
    async with (
        relay.running(),
        open_side("inner", written, secrets.inner, ends[1], two) as inner,
        open_side("outer", written, secrets.outer, ends[0], one) as outer,
    ):
        inner.side.as_upper.offer_all()
        try:
            yield Gateway(outer, inner)
        finally:
            outer.side.stop()
            inner.side.stop()


def relay_for(link: object, network: Network, wire: Network | None = None) -> CorePlane | TwoRelays:
    if link is two_hosts:
        return TwoHosts(network, wire)
    return TwoRelays(network) if link is two_relays else CorePlane(network.loop, network.datagrams)
