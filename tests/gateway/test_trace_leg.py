"""The leg between two hosts in the ladder: what came to the one, what left, what came to the other."""

import asyncio

import pytest

from gateway.chamber.link.hosts import SURVIVES_SECONDS
from gateway.cli.trace import Page
from gateway.trace.facts import SideName
from gateway.trace.merging import Gathered
from gateway.words import LANGUAGES, Language, Words
from interop.sim.sending import Behaviour
from sip.events import Address
from tests.clock import run
from tests.gateway.bodies import CAMERAS, answer
from tests.gateway.by_hand import below
from tests.gateway.cable import HOST
from tests.gateway.packets import stream
from tests.gateway.pair import SIDES
from tests.gateway.relays import TwoHosts, two_hosts
from tests.gateway.test_broadcast import SPEAK
from tests.gateway.test_trace import plays, refused
from tests.gateway.traced import Told, told_of, traced
from tests.gateway.world import LOWER, World, text, world
from tests.sip.network import Drop


def drops(host: str, which: set[int] | None) -> Drop:
    """Loses what goes to that host of the sealed packets: those of these numbers, or all."""
    count = -1

    def drop(_payload: bytes, _source: Address, destination: Address) -> bool:
        nonlocal count
        if destination[0] != host:
            return False
        count += 1
        return which is None or count in which

    return drop


def merged(here: World, what: str) -> Told:
    gathered = Gathered(what)
    for side in ("inner", "outer"):
        gathered.take(traced(here, what, side).answer)
    return told_of(gathered.whole())


def lock(told: Told, what: str) -> str:
    """The line whose column of the lock says that."""
    (line,) = [line for line in told.lines(200) if what in line.split("|")[1]]
    return line.split("|")[1]


def test_the_leg_stands_between_the_sides_with_its_first_and_last_packet() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            async with here.upper.play(channel):
                await asyncio.sleep(3.0)
                playing = [traced(here, channel), merged(here, channel)]
            await asyncio.sleep(8.0)
            for told in (*playing, traced(here, channel), merged(here, channel)):
                told.shows("StreamOffered", f"first RTP from {LOWER}:", "first RTP", "RTP to ")
                assert lock(told, "first RTP").rstrip().endswith("=>"), "towards the inner side, on the right"
                assert ", 0 lost" in lock(told, " came")
                assert " left" in lock(told, " left")
                assert "0 were lost between the hosts" in told.said
            assert playing[0].sentence.key == "trace.playing"
            await here.upper.drained({})

    run(scenario())


def test_each_host_alone_shows_its_end_of_the_leg() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            async with here.upper.play(channel):
                await asyncio.sleep(3.0)
                outer, inner = traced(here, channel, "outer"), traced(here, channel, "inner")
            assert "left for the other host" in outer.said
            assert " left" in lock(outer, "RTP: ")
            assert "came over the link" in inner.said
            assert " came" in lock(inner, "RTP: ")
            assert lock(inner, "first RTP")

    run(scenario())


def test_what_the_camera_lost_is_not_lost_between_the_hosts() -> None:
    async def scenario() -> None:
        async with below(two_hosts) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(10)
                    media.lose(3)
                    await media.run(40)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]):
                await serving
                told = merged(here, CAMERAS[0])
            assert "3 were lost on the way to us" in told.said
            assert "0 were lost between the hosts" in told.said

    run(scenario())


def test_packets_lost_between_the_hosts_are_counted_there() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            here.network.drop = drops(HOST["inner"], set(range(100, 107)))
            async with here.upper.play(channel):
                await asyncio.sleep(6.0)
                told = merged(here, channel)
            assert "7 were lost between the hosts" in told.said
            assert ", 7 lost" in lock(told, " came")

    run(scenario())


def test_a_leg_that_carries_nothing_is_where_it_died() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            here.network.drop = drops(HOST["inner"], None)
            async with here.upper.play(channel):
                await asyncio.sleep(12.0)
                whole, inner = merged(here, channel), traced(here, channel, "inner")
                outer = traced(here, channel, "outer")
            assert whole.sentence.key == "trace.leg_silent"
            assert "none reached inner" in whole.said
            assert inner.sentence.key == "trace.leg_silent_half"
            assert f"lockgate trace {inner.story.correlation}" in inner.said
            assert outer.sentence.key == "trace.playing"

    run(scenario())


def test_a_leg_that_falls_silent_is_told_though_the_source_goes_on() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            async with here.upper.play(channel):
                await asyncio.sleep(3.0)
                here.network.drop = drops(HOST["inner"], None)
                await asyncio.sleep(100.0)
            told = merged(here, channel)
            assert told.sentence.key == "trace.leg_stopped"
            told.shows("first RTP", "RTP stopped")

    run(scenario())


@pytest.mark.parametrize("half", ["outer", "inner"])
def test_a_voice_goes_the_other_way(half: SideName) -> None:
    async def scenario() -> None:
        async with world(two_hosts, cameras=2, speakers=2, written=text() + SPEAK) as here:
            await here.shown()
            speaker = here.speakers()[0]
            async with here.upper.broadcast(speaker) as speech:
                await speech.spoken(100)
                whole, alone = traced(here, speaker), traced(here, speaker, half)
            assert whole.sentence.key == alone.sentence.key == "trace.playing"
            assert "<=" in lock(whole, "first RTP")
            assert "<=" in lock(alone, "RTP: ")

    run(scenario())


def shown(told: Told, language: Language = "en") -> list[str]:
    lines: list[str] = []
    Page(Words(language), 132, "utf-8", lines.append).show(told.answer)
    return lines


def test_one_host_names_the_command_that_tells_the_other_half() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            await plays(here, channel)
            for side in SIDES:
                told = traced(here, channel, side)
                command = f"lockgate trace {told.story.correlation}"
                for language in LANGUAGES:
                    assert shown(told, language)[-1].endswith(command)
                there = traced(here, str(told.story.correlation), "inner" if side == "outer" else "outer")
                assert there.story.correlation == told.story.correlation
            assert not any("lockgate trace" in line for line in shown(merged(here, channel))[-1:])
            busy = here.shared()[1]
            here.lower.senders.behaviours[busy] = Behaviour(refuse=486)
            await refused(here, busy)
            told = traced(here, busy, "inner")
            command = f"lockgate trace {told.story.correlation}"
            assert sum(command in line for line in shown(told)) == 1, "said once"

    run(scenario())


@pytest.mark.parametrize("after", [0.1, SURVIVES_SECONDS + 5.0])
def test_a_link_that_is_away_or_down_is_the_closing_sentence(after: float) -> None:
    """Away for less than five seconds nothing has ended yet; who asks is refused at once all the same."""

    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            assert isinstance(here.plane, TwoHosts)
            here.plane.cable.cut = True
            here.plane.cable.reset()
            await asyncio.sleep(after)
            await refused(here, channel)
            for told in (traced(here, channel), traced(here, channel, "inner")):
                assert told.sentence.key == "trace.refused_link"
                told.shows(f"INVITE {channel}", "503 Service Unavailable (INVITE)")
            here.plane.cable.cut = False
            await asyncio.sleep(40.0)

    run(scenario())


def test_a_link_that_goes_down_while_it_plays_is_named_as_the_end() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            channel = here.shared()[0]
            assert isinstance(here.plane, TwoHosts)
            async with here.upper.play(channel):
                await asyncio.sleep(3.0)
                here.plane.cable.cut = True
                here.plane.cable.reset()
                await asyncio.sleep(SURVIVES_SECONDS + 2.0)
            for side in SIDES:
                told = traced(here, channel, side)
                assert told.sentence.key == "trace.ended_link"
                told.shows("StreamOffered", "first RTP", "the link is lost", "BYE")
            here.plane.cable.cut = False
            await asyncio.sleep(40.0)
            assert traced(here, channel).sentence.key == "trace.ended_link", "it stays said"
            slow = here.shared()[1]
            here.lower.senders.behaviours[slow] = Behaviour(answer_seconds=20.0)
            asking = asyncio.ensure_future(refused(here, slow))
            await asyncio.sleep(1.0)
            here.plane.cable.cut = True
            here.plane.cable.reset()
            await asking
            assert traced(here, slow, "inner").sentence.key == "trace.lost_link"
            here.plane.cable.cut = False
            await asyncio.sleep(40.0)

    run(scenario())
