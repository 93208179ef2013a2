"""Links within one process keep the order, and share no object where they encode."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cascade.crossing import Crossing
from gateway.chamber.link import LinkUnavailable
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.memory import memory_link
from tests.gateway.chamber_ground import ask, batch, channel, rows


class Inbox:
    """What arrived, and a way to wait for it."""

    def __init__(self) -> None:
        self.crossings: list[Crossing] = []
        self._more = asyncio.Event()

    def __call__(self, crossing: Crossing) -> None:
        self.crossings.append(crossing)
        self._more.set()

    async def hold(self, count: int) -> list[Crossing]:
        async with asyncio.timeout(10):
            while len(self.crossings) < count:
                self._more.clear()
                await self._more.wait()
        return self.crossings


@pytest.mark.parametrize("link", [memory_link, encoded_link])
async def test_links_in_one_process_deliver_later_and_in_order(link: Callable[[Any], Any]) -> None:
    here, there = link(asyncio.get_running_loop())
    inbox = Inbox()
    there.on_arrival = inbox
    sent = [ask(correlation=number) for number in range(20)]
    for crossing in sent:
        here.deliver(crossing)
    assert inbox.crossings == []
    assert await inbox.hold(20) == sent


async def test_the_memory_link_hands_over_the_object_and_the_encoded_one_a_copy() -> None:
    for link, same in ((memory_link, True), (encoded_link, False)):
        here, there = link(asyncio.get_running_loop())
        there.on_arrival = inbox = Inbox()
        sent = batch(rows(channel(1)))
        here.deliver(sent)
        (got,) = await inbox.hold(1)
        assert (got is sent) is same
        assert got == sent


async def test_the_encoded_link_refuses_what_another_host_would_not_read() -> None:
    here, _ = encoded_link(asyncio.get_running_loop())
    with pytest.raises(LinkUnavailable, match="1001 rows"):
        here.deliver(batch(rows(*map(channel, range(1001)))))
