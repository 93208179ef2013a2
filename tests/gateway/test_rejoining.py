"""An end of a link that outlives the other side's process."""

import asyncio
import socket

import pytest

from gateway.chamber.link import LinkUnavailable
from gateway.chamber.link.encoded import EncodedEnd, encoded_link
from gateway.chamber.link.rejoining import RejoiningEnd
from gateway.chamber.link.stream import open_stream
from tests.gateway.chamber_ground import ask


class Heard:
    """All that an end told its owner, in order."""

    def __init__(self, end: RejoiningEnd) -> None:
        self.said: list[object] = []
        end.on_linked = self.said.append
        end.on_arrival = self.said.append
        end.on_signal = lambda recording: self.said.append(f"recording {recording}")


async def turned() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def pair() -> tuple[EncodedEnd, EncodedEnd]:
    return encoded_link(asyncio.get_running_loop())


async def test_it_is_down_until_it_is_joined_and_when_that_end_is_over() -> None:
    end = RejoiningEnd()
    heard = Heard(end)
    with pytest.raises(LinkUnavailable, match="nobody is at the other end"):
        end.deliver(ask())
    end.signal(recording=False)  # lost, as on any link that is down
    ours, theirs = pair()
    arrived: list[object] = []
    theirs.on_arrival = arrived.append
    end.join(ours)
    end.deliver(ask())
    theirs.deliver(ask(correlation=8))
    theirs.signal(recording=False)
    await turned()
    assert arrived == [ask()]
    end.part(ours)
    with pytest.raises(LinkUnavailable):
        end.deliver(ask())
    assert heard.said == [True, ask(correlation=8), "recording False", False]


async def test_what_comes_over_a_link_that_was_left_is_not_heard() -> None:
    end = RejoiningEnd()
    heard = Heard(end)
    (first, before), (second, after) = pair(), pair()
    end.join(first)
    end.join(second)
    before.deliver(ask(correlation=1))
    before.signal(recording=False)
    after.deliver(ask(correlation=2))
    end.part(first)  # its end is noticed late
    await turned()
    assert heard.said == [True, False, True, ask(correlation=2)]


async def test_a_gate_that_comes_later_hears_what_comes_then() -> None:
    end = RejoiningEnd()
    ours, theirs = pair()
    end.join(ours)
    heard = Heard(end)
    theirs.deliver(ask())
    await turned()
    assert heard.said == [ask()]


async def test_over_sockets_it_hears_first_that_somebody_is_there_and_then_what_they_said_early() -> None:
    here, there = socket.socketpair()
    theirs = await open_stream(there)
    theirs.deliver(ask())
    ours = await open_stream(here)
    await turned()
    end = RejoiningEnd()
    heard = Heard(end)
    end.join(ours)
    ours.closed.add_done_callback(lambda _: end.part(ours))
    theirs.close("stopping")
    async with asyncio.timeout(10):
        await ours.closed
    await turned()
    assert heard.said == [True, ask(), False]
