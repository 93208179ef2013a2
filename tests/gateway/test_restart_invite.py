"""An INVITE that had its 100 and no more when the gateway died has its end soon after the next start."""

import asyncio
from contextlib import suppress

import pytest

from cascade.ports import KeptDialog
from gateway.store.memory import MemoryStore
from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.world import INNER, INNER_ID, LOWER, OUTER, UPPER, Link, Wire, World, header, world

AGAIN_SECONDS = 3.0
"""From a start until the INVITE has its answer."""


async def slow_camera(here: World) -> str:
    """Everybody is up; a shared camera that takes its time to answer an INVITE."""
    await here.shown()
    await here.upper.wait_registered(INNER_ID)
    channel = here.shared()[0]
    here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=20.0)
    return channel


async def watch(here: World, channel: str) -> None:
    async with here.upper.play(channel):
        pass


async def nothing_is_left(here: World) -> None:
    """After two INVITEs that nobody answers any more have been forgotten."""
    await asyncio.sleep(80.0)
    assert here.upper_calls.active == here.lower_calls.active == here.gateway.orphans == 0
    assert [await store.dialogs() for store in here.stores.values()] == [[], []]


def test_an_invite_that_only_had_its_100_is_refused_after_the_next_start(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            channel = await slow_camera(here)
            wire = Wire(here.network)
            watching = asyncio.create_task(watch(here, channel))
            await asyncio.sleep(1.0)
            assert len(wire.between(INNER, UPPER, "SIP/2.0 100")) == 1
            await here.kill()
            started = here.network.loop.time()
            with pytest.raises(PlayRefused) as refused:
                await watching
            assert here.network.loop.time() - started < AGAIN_SECONDS
            assert refused.value.status == 500
            (refusal,) = wire.between(INNER, UPPER, "SIP/2.0 500")
            assert header(refusal, "Retry-After") == "3"
            assert header(refusal, "Warning") == f'399 {INNER} "the gateway was restarted"'
            assert len(wire.between(UPPER, INNER, "ACK")) == 1
            await nothing_is_left(here)

    run(scenario())


def test_its_refusal_is_repeated_until_it_arrives_and_repeats_of_the_invite_begin_nothing() -> None:
    """The 100 was lost as well, so that the upper still repeats itself when the next process listens."""

    async def scenario() -> None:
        async with world() as here:
            channel = await slow_camera(here)
            wire = Wire(here.network)
            lost = 0

            def drop(payload: bytes, source: tuple[str, int], _to: tuple[str, int]) -> bool:
                nonlocal lost
                refusal = payload.startswith(b"SIP/2.0 500")
                lost += refusal
                return source[0] == INNER and (payload.startswith(b"SIP/2.0 100") or (refusal and lost < 4))

            here.network.drop = drop
            watching = asyncio.create_task(watch(here, channel))
            await asyncio.sleep(0.3)
            await here.kill(0.1)
            with pytest.raises(PlayRefused) as refused:
                await watching
            assert refused.value.status == 500
            assert len(wire.between(UPPER, INNER, "INVITE")) > 1
            assert len(wire.between(OUTER, LOWER, "INVITE")) == 1
            assert len(set(wire.between(INNER, UPPER, "SIP/2.0 500"))) == 1
            await nothing_is_left(here)

    run(scenario())


def test_one_that_was_accepted_and_never_heard_of_it_is_refused_too(link: Link) -> None:
    """Our 200 was lost, so there is no dialog that a BYE could end: 481 says so, and the INVITE waits."""

    async def scenario() -> None:
        async with world(link) as here:
            channel = await slow_camera(here)
            del here.lower.senders.behaviours[channel]
            wire = Wire(here.network)
            here.network.drop = lambda payload, source, _to: source[0] == INNER and b" 200 OK" in payload[:20]
            watching = asyncio.create_task(watch(here, channel))
            await asyncio.sleep(0.7)
            assert len(wire.between(INNER, UPPER, "SIP/2.0 200")) > 1
            here.network.drop = lambda *_: False
            await here.kill()
            with pytest.raises(PlayRefused) as refused:
                await asyncio.wait_for(watching, AGAIN_SECONDS)
            assert refused.value.status == 500
            assert len(wire.between(INNER, UPPER, "BYE")) == 1
            await nothing_is_left(here)

    run(scenario())


def test_one_that_was_accepted_and_acknowledged_is_only_ended() -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await slow_camera(here)
            del here.lower.senders.behaviours[channel]
            wire = Wire(here.network)
            async with here.upper.play(channel):
                await here.kill()
                await asyncio.sleep(AGAIN_SECONDS)
                assert len(wire.between(INNER, UPPER, "BYE")) == 1
            await nothing_is_left(here)
            assert wire.between(INNER, UPPER, "SIP/2.0 500") == []

    run(scenario())


@pytest.mark.parametrize("after", [0.2, 1.0, 1.02])
def test_a_cancel_of_it_is_answered(after: float) -> None:
    """Taken back while nobody is there, or as soon as somebody is again."""

    async def scenario() -> None:
        async with world() as here:
            channel = await slow_camera(here)
            wire = Wire(here.network)
            watching = asyncio.create_task(watch(here, channel))
            await asyncio.sleep(1.0)
            killing = asyncio.create_task(here.kill(1.0))
            await asyncio.sleep(after)
            watching.cancel()
            with suppress(asyncio.CancelledError, PlayRefused):
                await watching
            await killing
            await asyncio.sleep(AGAIN_SECONDS + 2.0)
            assert here.upper_calls.active == 0
            ends = [
                text for text in wire.between(INNER, UPPER, "SIP/2.0 5") if "INVITE" in header(text, "CSeq")
            ]
            assert len(set(ends)) == 1
            cancels = wire.between(UPPER, INNER, "CANCEL")
            answers = wire.between(INNER, UPPER, "SIP/2.0 200") + wire.between(INNER, UPPER, "SIP/2.0 481")
            cancelled = [text for text in answers if "CANCEL" in header(text, "CSeq")]
            assert bool(cancelled) == bool(cancels)
            await nothing_is_left(here)

    run(scenario())


def test_a_second_death_refuses_it_once_more_and_then_it_is_forgotten() -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await slow_camera(here)
            watching = asyncio.create_task(watch(here, channel))
            await asyncio.sleep(1.0)
            here.network.drop = lambda payload, _from, _to: payload.startswith(b"SIP/2.0 500")
            await here.kill()
            await asyncio.sleep(5.0)
            here.network.drop = lambda *_: False
            here.life.die()
            here.dead.append(here.life)
            await here.restart()
            with pytest.raises(PlayRefused) as refused:
                await asyncio.wait_for(watching, AGAIN_SECONDS)
            assert refused.value.status == 500
            await nothing_is_left(here)

    run(scenario())


class CountingStore(MemoryStore):
    """What was asked of it, by name: the writes of a hot path are dear."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def save_dialog(self, dialog: KeptDialog) -> None:
        self.writes.append("early" if dialog.early else "dialog" if dialog.target else "waiting")
        super().save_dialog(dialog)

    def drop_dialog(self, call_id: str, local_tag: str) -> None:
        self.writes.append("drop")
        super().drop_dialog(call_id, local_tag)


def test_an_invite_costs_one_write_and_a_message_or_a_refusal_at_once_none() -> None:
    async def scenario() -> None:
        outer, inner = CountingStore(), CountingStore()
        async with world(stores={"outer": outer, "inner": inner}) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            channel = here.shared()[0]
            with pytest.raises(PlayRefused):
                await watch(here, here.kept()[0])
            await here.upper.device_info(target=channel)
            await here.upper.catalog()
            assert outer.writes == inner.writes == []
            await watch(here, channel)
            await asyncio.sleep(10.0)
            assert outer.writes == ["early", "dialog", "drop"]
            assert inner.writes == ["waiting", "dialog", "drop"]
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=20.0)
            with suppress(PlayRefused):
                await watch(here, channel)
            assert inner.writes[3:] == ["waiting", "drop"]

    run(scenario())
