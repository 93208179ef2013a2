import asyncio
from collections.abc import Callable, Coroutine

import pytest

from sip.aio.calls import ask
from sip.endpoint import Address
from sip.events import Event, Kind, Reply
from tests.clock import run
from tests.sip.ground import AT_CAMERA, CAMERA, GATEWAY, Wire, both, endpoint
from tests.sip.network import Network

ONE: Address = ("192.0.2.1", 6000)
TWO: Address = ("192.0.2.2", 6000)


def arrivals(
    seed: int,
    scenario: Callable[[Network], Coroutine[None, None, None]],
    *,
    loss: float = 0.0,
    jitter: float = 0.0,
) -> list[tuple[float, bytes]]:
    """What TWO hears while the scenario sends, and when."""
    heard: list[tuple[float, bytes]] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        network = Network(loop, seed, loss=loss, jitter=jitter)
        network.datagrams(TWO, lambda payload, source: heard.append((loop.time(), payload)))
        await scenario(network)
        await asyncio.sleep(1)

    run(play())
    return heard


async def hundred(network: Network) -> None:
    port = network.datagrams(ONE, lambda payload, source: None)
    for number in range(100):
        port.send(b"%d" % number, TWO)
        await asyncio.sleep(0.001)


def test_datagrams_arrive_in_order_after_the_delay() -> None:
    heard = arrivals(1, hundred)
    assert [payload for _, payload in heard] == [b"%d" % number for number in range(100)]
    assert [round(at * 1000) for at, _ in heard] == [number + 5 for number in range(100)]


def test_loss_and_jitter_are_the_same_for_the_same_seed_only() -> None:
    first = arrivals(1, hundred, loss=0.3, jitter=0.02)
    assert first == arrivals(1, hundred, loss=0.3, jitter=0.02)
    assert first != arrivals(2, hundred, loss=0.3, jitter=0.02)
    assert 50 < len(first) < 90
    assert [payload for _, payload in first] != sorted((payload for _, payload in first), key=int)


def test_nothing_passes_a_cut_cable_and_everything_a_mended_one() -> None:
    async def scenario(network: Network) -> None:
        port = network.datagrams(ONE, lambda payload, source: None)
        port.send(b"under way when the cable is pulled", TWO)
        network.cut(TWO[0])
        port.send(b"lost", TWO)
        await asyncio.sleep(0.1)
        network.mend(TWO[0])
        port.send(b"here", TWO)

    assert [payload for _, payload in arrivals(1, scenario)] == [b"here"]


def test_an_address_is_taken_once_and_free_after_close() -> None:
    async def scenario(network: Network) -> None:
        port = network.datagrams(ONE, lambda payload, source: None)
        with pytest.raises(OSError, match="taken"):
            network.datagrams(ONE, lambda payload, source: None)
        port.close()
        network.datagrams(ONE, lambda payload, source: None).close()
        free = {network.datagrams((ONE[0], 0), lambda payload, source: None).address for _ in range(5)}
        assert len(free) == 5
        assert all(number % 2 == 0 for _, number in free)
        assert network.bound() == [TWO, *sorted(free)]

    arrivals(1, scenario)


def test_what_nobody_receives_is_counted() -> None:
    async def scenario(network: Network) -> None:
        network.datagrams(ONE, lambda payload, source: None).send(b"?", ("192.0.2.9", 9))
        await asyncio.sleep(0.1)
        assert network.unreachable == 1

    arrivals(1, scenario)


@pytest.mark.parametrize("seed", range(5))
def test_engines_repeat_what_the_network_loses(seed: int) -> None:
    decided: list[str] = []

    def decide(run: list[Event]) -> list[Reply]:
        decided.extend(event.call_id for event in run)
        return [(event.transaction, 200) for event in run]

    async def scenario() -> list[int]:
        network = Network(asyncio.get_running_loop(), seed, loss=0.3)
        gateway, camera = both(network)
        camera.handle(Kind.MESSAGE, decide)
        requests = [gateway.request("MESSAGE", CAMERA, AT_CAMERA) for _ in range(50)]
        answers = await asyncio.gather(*(ask(gateway, request) for request in requests))
        return [answer.status for answer in answers]

    assert run(scenario()) == [200] * 50
    assert len(decided) == len(set(decided)) == 50


def test_a_network_out_of_the_list_is_not_heard() -> None:
    async def scenario() -> dict[str, int]:
        network = Network(asyncio.get_running_loop())
        gateway, _ = endpoint(network, GATEWAY, ("198.51.100.1", 5060))
        stack = network.stack(AT_CAMERA, "r", ["203.0.113.0/24"])
        gateway.send(gateway.request("OPTIONS", CAMERA, AT_CAMERA))
        await asyncio.sleep(0.1)
        return stack.counters()

    assert run(scenario())["foreign_source"] == 1


def test_a_closed_stack_frees_its_address_and_is_silent() -> None:
    async def scenario() -> None:
        network = Network(asyncio.get_running_loop())
        gateway, stack = endpoint(network, GATEWAY, ("198.51.100.1", 5060))
        gateway.send(gateway.request("OPTIONS", CAMERA, AT_CAMERA))
        wire = Wire(network)
        stack.close()
        await asyncio.sleep(40)
        assert wire.lines() == []
        assert network.bound() == []

    run(scenario())
