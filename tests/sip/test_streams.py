"""Connections between two ends of ours and to peers by hand, in virtual time, in pieces of any size."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from sip.aio.ask import ask
from sip.aio.calls import Calls
from sip.endpoint import Endpoint, Party
from sip.errors import TransactionTimeout, TransportFailed
from sip.events import Address, Event, Kind, Reply
from tests.sip.bytestreams import Talker
from tests.sip.ground import AT_CAMERA, AT_GATEWAY, CAMERA, GATEWAY, REALM
from tests.sip.network import Network, VirtualStack
from tests.sip.talk import ANSWER, Camera, invite, play

MESSAGE = (
    f"MESSAGE {GATEWAY.uri} SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.5:5060;branch=z9hG4bK%d\r\n"
    f"From: <{CAMERA.uri}>;tag=1\r\nTo: <{GATEWAY.uri}>\r\nCall-ID: c\r\nCSeq: %d MESSAGE\r\n"
    "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
)


@asynccontextmanager
async def end(network: Network, me: Party, at: Address) -> AsyncIterator[tuple[Endpoint, VirtualStack]]:
    """An end that listens by UDP and TCP, and greets who sends it a MESSAGE."""
    stack = network.stack(at, REALM, listeners=[("tcp", *at)])
    endpoint = Endpoint(stack, me)
    stack.attach(endpoint)
    endpoint.handle(Kind.MESSAGE, lambda run: [(event.transaction, 200) for event in run])
    async with stack.with_streams():
        yield endpoint, stack
    stack.close()


@asynccontextmanager
async def both(network: Network) -> AsyncIterator[tuple[Endpoint, Endpoint, VirtualStack]]:
    """The gateway's end, whose requests to the camera's go by TCP, and the gateway's stack."""
    async with AsyncExitStack() as held:
        gateway, stack = await held.enter_async_context(end(network, GATEWAY, AT_GATEWAY))
        camera, _ = await held.enter_async_context(end(network, CAMERA, AT_CAMERA))
        stack.set_route(AT_CAMERA, "tcp")
        yield gateway, camera, stack
    await asyncio.sleep(1.0)
    assert network.bound() == []


@pytest.mark.parametrize("piece", [None, 1, 7, 100])
def test_a_request_and_its_answer_go_by_one_connection_and_no_datagram_leaves(piece: int | None) -> None:
    async def scenario(network: Network) -> None:
        datagrams: list[bytes] = []
        network.taps.append(lambda _at, payload, *_: datagrams.append(payload))
        network.wires.piece = piece
        async with both(network) as (gateway, camera, stack):
            seen: list[Event] = []

            def decide(run: list[Event]) -> Sequence[Reply]:
                seen.extend(run)
                return [(event.transaction, 200) for event in run]

            camera.handle(Kind.MESSAGE, decide)
            for number in range(3):
                body = b"x" * (number * 30_000)
                message = gateway.request("MESSAGE", CAMERA, AT_CAMERA, body=body, content_type="text/plain")
                assert (await ask(gateway, message)).status == 200
            assert [(event.transport, len(event.body)) for event in seen] == [
                ("tcp", 0),
                ("tcp", 30_000),
                ("tcp", 60_000),
            ]
            assert len({event.connection for event in seen}) == 1
            assert seen[0].header("Via") == f"SIP/2.0/TCP 203.0.113.20:5060;rport;branch={seen[0].branch}"
            assert stack.counters()["now_streams"] == 1
        assert datagrams == []

    play(scenario)


def test_a_call_by_tcp_is_held_and_ended_by_the_same_connection() -> None:
    async def scenario(network: Network) -> None:
        lines: list[str] = []
        network.wires.taps.append(lambda data, *_: lines.append(data.decode().partition("\r\n")[0]))
        async with both(network) as (gateway, camera, _):
            async with Calls(gateway) as calls, Calls(camera) as theirs:
                held = Camera(theirs)
                async with calls.place(invite(gateway)) as call:
                    assert call.event.body == ANSWER
                    contact = call.event.contact or ""
                    assert contact.endswith("203.0.113.50:5060;transport=tcp")
                    call.ack()
                    await asyncio.sleep(60.0)
                await asyncio.sleep(0.5)
                assert held.why == ["bye"]
            methods = [line.split()[0] if "SIP/2.0" not in line[:7] else line.split()[1] for line in lines]
            assert methods == ["INVITE", "100", "200", "ACK", "BYE", "200"]

    play(scenario)


def test_a_camera_that_came_by_a_connection_is_asked_by_it_until_it_is_gone() -> None:
    async def scenario(network: Network) -> None:
        async with both(network) as (gateway, _, _):
            talker = Talker()
            source = network.wires.connect(("203.0.113.60", 0), AT_GATEWAY, talker).address
            await asyncio.sleep(0.1)
            talker.end.write((MESSAGE % (1, 1)).encode())
            await asyncio.sleep(0.1)
            assert talker.heard.startswith(b"SIP/2.0 200 OK\r\n")
            del talker.heard[:]
            waiting = asyncio.create_task(ask(gateway, gateway.request("MESSAGE", CAMERA, source)))
            await asyncio.sleep(0.1)
            assert talker.heard.startswith(b"MESSAGE ")
            network.wires.reset("203.0.113.60")
            with pytest.raises(TransportFailed, match="reset by peer"):
                await waiting
            with pytest.raises(TransportFailed, match="closed"):
                await ask(gateway, gateway.request("MESSAGE", CAMERA, source))

    play(scenario)


def test_nobody_who_listens_or_answers_is_told_at_once_or_in_time() -> None:
    async def scenario(network: Network) -> None:
        async with both(network) as (gateway, _, stack):
            nobody = ("203.0.113.77", 5060)
            stack.set_route(nobody, "tcp")
            began = network.loop.time()
            with pytest.raises(TransportFailed, match="refused"):
                await ask(gateway, gateway.request("MESSAGE", CAMERA, nobody))
            assert network.loop.time() - began < 1.0
            deaf = Talker()
            network.wires.ears[nobody] = ear = await network.wires.plug().listen(nobody, lambda: deaf)
            with pytest.raises(TransactionTimeout):
                await ask(gateway, gateway.request("MESSAGE", CAMERA, nobody))
            assert deaf.heard.count(b"MESSAGE ") == 1
            ear.close()
            stack.set_route(nobody, "tls")
            deaf.end.close()
            await asyncio.sleep(0.1)
            with pytest.raises(TransportFailed, match=r"refused|TLS"):
                await ask(gateway, gateway.request("MESSAGE", CAMERA, nobody))

    play(scenario)


def test_ten_thousand_idle_connections_and_a_thousand_slow_ones_keep_nobody_out() -> None:
    async def scenario(network: Network) -> None:
        async with both(network) as (_, _, stack):
            slow: list[Talker] = []
            for number in range(11_000):
                talker = Talker()
                host = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
                network.wires.connect((host, 0), AT_GATEWAY, talker)
                if number >= 10_000:
                    slow.append(talker)
            await asyncio.sleep(0.1)
            assert stack.counters()["now_streams"] == 11_000
            for letter in b"MES":
                for talker in slow:
                    talker.end.write(bytes([letter]))
                await asyncio.sleep(1.0)
            talker = Talker()
            network.wires.connect(("203.0.113.60", 0), AT_GATEWAY, talker)
            await asyncio.sleep(0.05)
            talker.end.write((MESSAGE % (1, 1)).encode())
            await asyncio.sleep(0.05)
            assert talker.heard.startswith(b"SIP/2.0 200 OK\r\n")
            await asyncio.sleep(12.0)
            counters = stack.counters()
            assert (counters["now_streams"], counters["streams_timed_out"]) == (1, 11_000)
            assert all(one.closed for one in slow)

    play(scenario)


def test_one_source_has_eight_connections_and_the_newest_of_them_count() -> None:
    async def scenario(network: Network) -> None:
        async with both(network) as (_, _, stack):
            talkers = [Talker() for _ in range(20)]
            for talker in talkers:
                network.wires.connect(("203.0.113.60", 0), AT_GATEWAY, talker)
                await asyncio.sleep(0.1)
            assert [talker.closed for talker in talkers] == [True] * 12 + [False] * 8
            assert stack.counters()["streams_displaced"] == 12

    play(scenario)
