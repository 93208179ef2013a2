"""The real thing: datagrams of any size, TCP and TLS over this machine's own sockets, IPv4 and IPv6."""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from sip._native import Engine
from sip.aio.ask import ask
from sip.aio.driver import Driver
from sip.aio.streams import ACCEPTED, SOMAXCONN, CannotBind, Sockets, Streams, Tls
from sip.endpoint import Endpoint, Party
from sip.errors import TransportFailed
from sip.events import Address, Kind
from tests.sip.certificates import Authority

REALM = "4401000000"
HERE, THERE = Party("44010000002000000001", REALM), Party("44010600001320000001", REALM)


def free(host: str, kind: socket.SocketKind) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def end(
    me: Party, transport: str, host: str, tls: Tls | None = None
) -> AsyncIterator[tuple[Endpoint, Address]]:
    """An end that gives back the body it is sent; and its address for that transport."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    at = (host, free(host, kind))
    engine = Engine(
        ("127.0.0.1", 0), REALM, ["127.0.0.0/8", "::1/128"], bytes(32), listeners=[(transport, *at)]
    )
    endpoint = Endpoint(engine, me)
    typed = [("Content-Type", "text/plain")]
    endpoint.handle(
        Kind.MESSAGE, lambda run: [(event.transaction, 200, typed, event.body[::-1]) for event in run]
    )
    try:
        async with Streams(engine, [(transport, *at)], local="127.0.0.1", tls=tls) as streams:
            with Driver(engine, endpoint, streams):
                yield endpoint, at
    finally:
        engine.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("transport", "sizes"), [("udp", [0, 1400, 65_000]), ("tcp", [0, 64_000]), ("tls", [0, 64_000])]
)
def test_a_message_of_any_size_and_its_answer(
    transport: str, sizes: list[int], host: str, tmp_path: Path
) -> None:
    tls = context(tmp_path, host) if transport == "tls" else None

    async def scenario() -> None:
        async with (
            end(HERE, transport, host, tls) as (here, _),
            end(THERE, transport, host, tls) as (_, there),
        ):
            assert isinstance(here.stack, Engine)
            here.stack.set_route(there, transport)
            for size in sizes:
                body = bytes(range(65, 90)) * (size // 25)
                message = here.request("MESSAGE", THERE, there, body=body, content_type="text/plain")
                async with asyncio.timeout(20):
                    answer = await ask(here, message)
                assert (answer.status, answer.body, answer.transport) == (200, body[::-1], transport)
            if transport != "udp":
                assert here.stack.counters()["now_streams"] == 1

    asyncio.run(scenario())


def context(folder: Path, host: str) -> Tls:
    authority = Authority(folder)
    file = authority.issue("gate", host)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for made in (server, client):
        made.check_hostname = False
        made.load_cert_chain(file)
        made.load_verify_locations(authority.authority)
    return Tls(server, client, lambda _peer: frozenset({"gate"}))


def test_nobody_listens_there_is_told_at_once() -> None:
    async def scenario() -> None:
        async with end(HERE, "tcp", "127.0.0.1") as (here, _):
            assert isinstance(here.stack, Engine)
            nobody = ("127.0.0.1", free("127.0.0.1", socket.SOCK_STREAM))
            here.stack.set_route(nobody, "tcp")
            with pytest.raises(TransportFailed, match="refused"):
                await ask(here, here.request("MESSAGE", THERE, nobody))

    asyncio.run(scenario())


def test_an_address_that_is_taken_is_named() -> None:
    async def scenario() -> None:
        async with end(HERE, "tcp", "127.0.0.1") as (_, at):
            engine = Engine(("127.0.0.1", 0), REALM, ["127.0.0.0/8"], bytes(32), listeners=[("tcp", *at)])
            with pytest.raises(CannotBind) as caught:
                async with Streams(engine, [("tcp", *at)], local="127.0.0.1"):
                    pass
            assert caught.value.listener == ("tcp", *at)
            engine.close()

    asyncio.run(scenario())


def test_a_stop_closes_the_connections_that_are_there() -> None:
    async def scenario() -> None:
        async with end(HERE, "tcp", "127.0.0.1") as (_, at):
            reader, writer = await asyncio.open_connection(*at)
            writer.write(
                b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
                b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            async with asyncio.timeout(10):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 OK")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())


def test_a_crowd_that_comes_at_once_is_let_in_whole_and_a_few_a_turn() -> None:
    """More than 1,024: the kernel drops whoever finds no room, and that one tries again a second later."""
    crowd = min(1_500, int(SOMAXCONN.read_text()))

    async def scenario() -> None:
        at, made = ("127.0.0.1", free("127.0.0.1", socket.SOCK_STREAM)), list[asyncio.Protocol]()

        def make() -> asyncio.Protocol:
            made.append(asyncio.Protocol())
            return made[-1]

        server = await Sockets().listen(at, make)
        with ExitStack() as held, select.epoll() as writable:
            held.callback(server.close)
            for _ in range(crowd):
                client = held.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(at)
                writable.register(client, select.EPOLLOUT)
            there = [event for _, event in writable.poll(0, crowd)]
            assert there == [select.EPOLLOUT] * crowd  # though nobody has accepted any of them
            turns = [len(made)]
            while len(made) < crowd:
                await asyncio.sleep(0)
                turns.append(len(made))
            assert max(after - before for before, after in pairwise(turns)) <= ACCEPTED

    asyncio.run(scenario())
