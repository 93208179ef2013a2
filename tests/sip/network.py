"""A network in virtual time: engines without sockets, and datagram ports for media, on one loop.

Loss and delay come from a seeded generator, so a scenario with the same seed is the same scenario.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Final

from sip._native import Core, Kept
from sip.aio.streams import Streams, Tls
from sip.algorithms import Qop
from sip.endpoint import Endpoint
from sip.events import Address, Algorithm, Attempt, Cut, Event, Listener, Order, Reply, Request
from tests.sip.bytestreams import Wires

OnDatagram = Callable[[bytes, Address], None]
"""What arrived, and from where."""

Drop = Callable[[bytes, Address, Address], bool]
"""Payload, source, destination: True if the network shall lose it."""

Tap = Callable[[float, bytes, Address, Address, bool], None]
"""Time of sending, payload, source, destination, and whether it will arrive."""

MAX_EVENTS: Final = 256
FIRST_EPHEMERAL: Final = 40_000
EVERYWHERE: Final = ("0.0.0.0/0", "::/0")


class Network:
    """Carries datagrams between whatever is bound to its addresses; any address may be used.

    `loss` is a probability, `delay` and `jitter` are seconds (jitter is added, evenly from 0 to its
    value, and reorders). `drop` loses chosen datagrams, `taps` see every one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seed: int = 0,
        *,
        loss: float = 0.0,
        delay: float = 0.005,
        jitter: float = 0.0,
    ) -> None:
        self.loop = loop
        self.loss = loss
        self.delay = delay
        self.wires = Wires(loop, delay=delay)
        self.jitter = jitter
        self.drop: Drop = _drop_nothing
        self.taps: list[Tap] = []
        self.unreachable = 0  # datagrams to addresses where nobody was
        self._random = random.Random(seed)
        self._bound: dict[Address, OnDatagram] = {}
        self._cut: set[str] = set()
        self._next_port: dict[str, int] = {}
        self._flying: list[tuple[float, int, bytes, Address, Address]] = []
        self._count = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def stack(
        self,
        local: Address,
        realm: str,
        networks: Sequence[str] = EVERYWHERE,
        listeners: Sequence[Listener] = (),
    ) -> "VirtualStack":
        """An engine at `local` (port 0: a free one) that admits sources within `networks`."""
        local = self._free(local)
        seed = self._random.randbytes(32)
        return VirtualStack(self, Core(local, realm, networks, seed, listeners=listeners), listeners)

    def datagrams(self, address: Address, on_datagram: OnDatagram) -> "Port":
        """A bound datagram port, for media. Port 0 takes a free one.

        Raises:
            OSError: the address is taken.
        """
        address = self._free(address)
        self.bind(address, on_datagram)
        return Port(self, address)

    def cut(self, host: str) -> None:
        """Pull the cable of `host`: nothing to or from it arrives until `mend`."""
        self._cut.add(host)
        self.wires.cut.add(host)

    def mend(self, host: str) -> None:
        self._cut.discard(host)
        self.wires.cut.discard(host)

    def bind(self, address: Address, on_datagram: OnDatagram) -> None:
        if address in self._bound:
            raise OSError(f"{address} is taken")
        self._bound[address] = on_datagram

    def unbind(self, address: Address) -> None:
        self._bound.pop(address, None)

    def bound(self) -> list[Address]:
        """The addresses in use: what is still there at the end of a scenario was leaked."""
        return [*self._bound, *self.wires.ears, *(end.address for end in self.wires.ends)]

    def carry(self, payload: bytes, source: Address, destination: Address) -> None:
        """Take a datagram from `source`; it arrives later, or not."""
        lost = self._random.random() < self.loss
        delay = self.delay + self._random.random() * self.jitter
        lost = lost or source[0] in self._cut or destination[0] in self._cut
        lost = lost or self.drop(payload, source, destination)
        for tap in self.taps:
            tap(self.loop.time(), payload, source, destination, not lost)
        if not lost:
            heappush(
                self._flying, (self.loop.time() + delay, next(self._count), payload, source, destination)
            )
            self._set_timer()

    def _set_timer(self) -> None:
        arrives = self._flying[0][0]
        if self._timer is None or arrives < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(arrives, self._land)

    def _land(self) -> None:
        """Deliver what is due, in the order in which it was sent where that is at one time."""
        self._timer = None
        due = self.loop.time() + 1e-9
        while self._flying and self._flying[0][0] <= due:
            _, _, payload, source, destination = heappop(self._flying)
            self._deliver(payload, source, destination)
        if self._flying:
            self._set_timer()

    def _deliver(self, payload: bytes, source: Address, destination: Address) -> None:
        receiver = self._bound.get(destination)
        if receiver is None:
            self.unreachable += 1
        elif not {source[0], destination[0]} & self._cut:
            receiver(payload, source)

    def _free(self, address: Address) -> Address:
        host, port = address
        while port == 0 or (port != address[1] and (host, port) in self._bound):
            port = self._next_port.get(host, FIRST_EPHEMERAL)
            self._next_port[host] = port + 2  # even ones: the odd neighbour is RTCP's
        return host, port


class Port:
    """A bound datagram port; close it to free the address."""

    def __init__(self, network: Network, address: Address) -> None:
        self.address = address
        self._network = network

    def send(self, payload: bytes, destination: Address) -> None:
        self._network.carry(payload, self.address, destination)

    def close(self) -> None:
        self._network.unbind(self.address)


class VirtualStack:
    """The engine's interface over `Core`: datagrams go to the network, time is the loop's.

    Events reach the endpoint as with a driver: in batches, in a turn of the loop of their own.
    """

    def __init__(self, network: Network, core: Core, listeners: Sequence[Listener] = ()) -> None:
        self.network = network
        self._core = core
        self._loop = network.loop
        self._endpoint: Endpoint | None = None
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.local = core.local
        self.streams: Streams | None = None
        self._listeners = listeners
        self._places = [self.local, *((host, port) for kind, host, port in listeners if kind == "udp")]
        for listener, place in enumerate(self._places):
            network.bind(place, partial(self._receive, listener))

    def with_streams(self, tls: Tls | None = None) -> Streams:
        """Its connections, to be entered; from then on it listens for them and dials."""
        plug = self.network.wires.plug()
        self.streams = Streams(self, self._listeners, local=self.local[0], plug=plug, tls=tls)
        return self.streams

    def attach(self, endpoint: Endpoint) -> None:
        """Dispatch to that endpoint from now on."""
        self._endpoint = endpoint
        self._settle()

    def close(self) -> None:
        """Free the address; nothing is heard or sent any more. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for place in self._places:
            self.network.unbind(place)
        if self._timer is not None:
            self._timer.cancel()

    # Stack

    def poll(self, limit: int) -> list[Event]:
        self._core.serve_strangers(limit, self._loop.time())
        return self._core.take_events(limit)

    def reply(self, replies: Sequence[Reply]) -> None:
        self._core.reply(replies, self._loop.time())
        self._settle()

    def send(self, requests: Sequence[Request]) -> list[int]:
        clients = self._core.send(requests, self._loop.time())
        self._settle()
        return clients

    def cancel(self, transaction: int) -> None:
        self._core.cancel(transaction, self._loop.time())
        self._settle()

    def adopt(self, outline: bytes, source: Address) -> int | None:
        transaction = self._core.adopt(outline, source, self._loop.time())
        self._settle()
        return transaction

    def set_credentials(
        self, user: str, given: Sequence[tuple[Algorithm, str | None]], qop: Qop = "both"
    ) -> None:
        self._core.set_credentials(user, given, qop)

    def attempts(self, user: str) -> list[Attempt]:
        return self._core.attempts(user)

    def token(self) -> str:
        return self._core.token()

    def counters(self) -> dict[str, int]:
        return self._core.counters()

    def recall(self, needles: Sequence[bytes], after: int, limit: int) -> tuple[int, list[Kept]]:
        return self._core.recall(needles, after, limit)

    def seen_from(self, peer: Address) -> tuple[str, Address]:
        return self._core.seen_from(peer)

    def set_route(
        self, peer: Address, transport: str | None, *, large_by_tcp: bool = False, pong: bool = False
    ) -> None:
        self._core.set_route(peer, transport, large_by_tcp=large_by_tcp, pong=pong)

    def set_terms(
        self, user: str, *, large: int = 0, pong: bool = False, dial: Address | None = None
    ) -> None:
        self._core.set_terms(user, large=large, pong=pong, dial=dial)

    def set_large_kinds(self, kinds: Sequence[bytes]) -> None:
        self._core.set_large_kinds(kinds)

    def set_networks(self, networks: Sequence[str]) -> None:
        self._core.set_networks(networks, self._loop.time())
        self._settle()

    def set_limits(self, limits: Mapping[str, int]) -> None:
        self._core.set_limits(limits)

    def know(self, came: Sequence[Address], gone: Sequence[Address], cut: Sequence[Cut] = ()) -> None:
        self._core.know(came, gone, cut)

    # Connections

    def accept(self, peer: Address, transport: str, *, to: Address | None = None) -> int:
        if self._closed:
            return 0
        number = self._core.accept(peer, transport, self._loop.time(), to=to)
        self._settle()
        return number

    def opened(self, connection: int) -> None:
        self._core.opened(connection, self._loop.time())
        self._settle()

    def certified(self, connection: int, names: str) -> None:
        self._core.certified(connection, names)

    def closed(self, connection: int, reason: str) -> None:
        self._core.closed(connection, reason, self._loop.time())
        self._settle()

    def feed_stream(self, connection: int, data: bytes) -> None:
        self._core.feed_stream(connection, data, self._loop.time())
        self._settle()

    def backlog(self, connection: int, waiting: int) -> None:
        self._core.backlog(connection, waiting, self._loop.time())
        self._settle()

    def take_orders(self) -> list[Order]:
        return self._core.take_orders()

    # Driver

    def _receive(self, listener: int, payload: bytes, source: Address) -> None:
        self._core.offer(payload, source, self._loop.time(), listener=listener)
        self._settle()

    def _due(self) -> None:
        self._timer = None
        self._core.advance(self._loop.time())
        self._settle()

    def _settle(self) -> None:
        """Send what the core wants sent, set the timer to its deadline, and have events dispatched."""
        if self._closed:
            return
        self._flush()
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._dispatch)

    def _flush(self) -> None:
        for payload, destination, listener in self._core.take_datagrams():
            self.network.carry(payload, self._places[listener], destination)
        if self.streams is not None:
            self.streams.carry_out()
        self._set_timer(self._core.deadline())

    def _set_timer(self, deadline: float | None) -> None:
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._due)

    def _dispatch(self) -> None:
        self._woken = False
        if self._endpoint is None or self._closed:
            return
        events = self.poll(MAX_EVENTS)
        if not events:
            self._flush()
            return
        self._endpoint.dispatch(events)
        self._settle()  # answers leave, and a batch cut at the limit goes on


def _drop_nothing(payload: bytes, source: Address, destination: Address) -> bool:
    return False
