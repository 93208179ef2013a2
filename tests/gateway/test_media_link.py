"""Media between two hosts, in virtual time: each side has its relay, and all between them is sealed.

That everything else is as in one process is shown elsewhere: each scenario that asks for `link` runs over
this leg too ("relays").
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from media.link import Terms
from tests.clock import run
from tests.gateway.relays import HOSTS, TwoRelays, two_relays
from tests.gateway.test_broadcast import SPEAK, same_voice, speak
from tests.gateway.world import World, text, world
from tests.media.plane import Address
from tests.sip.network import Network

OUTER, INNER = HOSTS["outer"], HOSTS["inner"]


class Between:
    """What went over the wire between the hosts; `lose` says what of it does not arrive."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sent: list[tuple[Address, bytes]] = []
        self.lose: Callable[[int], bool] = lambda _number: False
        network.drop = self._drop

    def _drop(self, payload: bytes, source: Address, destination: Address) -> bool:
        if {source, destination} != {OUTER, INNER}:
            return False
        self.sent.append((source, payload))
        return self.lose(len(self.sent))

    def again(self, payload: bytes) -> None:
        """Somebody on that wire sends it to the inner host, as if it came from the outer one."""
        self.network.carry(payload, OUTER, INNER)


def relays(here: World) -> TwoRelays:
    assert isinstance(here.plane, TwoRelays)
    return here.plane


@asynccontextmanager
async def two_hosts() -> AsyncIterator[tuple[World, TwoRelays, Between]]:
    written = text() + SPEAK
    async with world(two_relays, written=written, cameras=4, speakers=2) as here:
        between = Between(here.network)
        await here.shown()
        yield here, relays(here), between
        between.lose = lambda _number: False
        await asyncio.sleep(30.0)
        assert here.gateway.orphans == 0
        assert relays(here).sockets() == relays(here).streams() == 0
        assert here.trails_whole()


def hosts(scenario: Callable[[World, TwoRelays, Between], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with two_hosts() as (here, both, between):
            await scenario(here, both, between)

    run(whole())


def test_a_picture_crosses_sealed_and_whole() -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        (channel,) = here.shared()[:1]
        async with here.upper.play(channel) as playing:
            await asyncio.sleep(4.0)
            sent = {record.camera: record.packets_sent for record in await here.lower.pause_streams()}
            assert await here.upper.drained(sent)
            report = await playing.finish()
        (record,) = here.lower.records()
        assert report.sha256 == record.sha256
        assert report.packets_received == record.packets_sent > 90
        assert report.frames_lost == ()

        assert {source for source, _ in between.sent} == {OUTER}, "nothing of a picture goes back"
        assert len(between.sent) == record.packets_sent
        assert all(b"\0\0\1\xba" not in payload for _, payload in between.sent)
        trunk = both.trunk("inner")
        assert (trunk.opened, trunk.lost, trunk.refused.total) == (record.packets_sent, 0, 0)
        assert both.trunk("outer").sealed == record.packets_sent

    hosts(scenario)


def test_a_voice_crosses_the_other_way() -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        (speaker,) = here.speakers()
        said = await speak(here, speaker, seconds=4.0)
        (heard,) = here.lower.listeners.records()
        same_voice(said, heard)
        assert {source for source, _ in between.sent} == {INNER}
        assert both.trunk("outer").opened == said.frames_sent

    hosts(scenario)


def test_pictures_and_voices_share_the_port_pair() -> None:
    async def scenario(here: World, both: TwoRelays, _between: Between) -> None:
        (speaker,) = here.speakers()
        one, two = here.shared()[:2]
        async with here.upper.play(one) as first, here.upper.play(two) as second:
            said = await speak(here, speaker)
            assert both.trunk("outer").opened == said.frames_sent
            assert both.trunk("inner").opened > 100
            assert both.sockets() == 4, "two receive, two send"
            reports = first.report(), second.report()
        same_voice(said, here.lower.listeners.records()[0])
        assert all(report.frames_decoded > 45 and report.wrong_camera == 0 for report in reports)

    hosts(scenario)


def test_many_viewers_of_a_camera_take_one_leg() -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        channel = here.shared()[0]
        async with here.upper.play(channel) as first:
            await asyncio.sleep(1.0)
            async with here.upper.play(channel) as second:
                await asyncio.sleep(2.0)
                assert second.report().frames_decoded > 20
                assert len(both.planes["inner"].counters().streams) == 1
            await asyncio.sleep(1.0)
            (record,) = here.lower.records()
            assert first.report().frames_decoded > 90
            assert len(between.sent) <= record.packets_sent

    hosts(scenario)


def test_loss_between_the_hosts_shows_as_loss_and_breaks_nothing() -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        between.lose = lambda number: number % 20 == 0
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(10.0)
            sent = {record.camera: record.packets_sent for record in await here.lower.pause_streams()}
            await here.upper.drained(sent)
            report = await playing.finish()
        (record,) = here.lower.records()
        lost = len(between.sent) // 20
        assert report.packets_lost_count == both.trunk("inner").lost == lost > 5
        assert report.packets_received == record.packets_sent - lost

    hosts(scenario)


def test_what_is_recorded_between_and_played_again_reaches_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(1.0)
            for _, payload in list(between.sent):
                between.again(payload)
                between.again(payload[:-1])
                between.again(payload[:20] + bytes([payload[20] ^ 1]) + payload[21:])
                between.again(b"\x80\x60" + payload[2:])
            await asyncio.sleep(1.0)
            report = await playing.finish()
        refused = both.trunk("inner").refused
        assert refused.not_trunk == refused.replayed // 3 > 20, "cut and changed ones bear a seen counter"
        assert report.packets_repeated == 0
        assert report.frames_decoded > 40
        assert both.trunk("inner").opened == report.packets_received

    with caplog.at_level(logging.WARNING):
        hosts(scenario)
    told = [vars(record) for record in caplog.records if record.message == "leg.trouble"]
    assert {(each["side"], each["counter"]) for each in told} == {
        ("inner", "replayed"),
        ("inner", "not_trunk"),
    }
    assert all(str(each["what"]) and str(each["remedy"]) for each in told)


@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_a_short_cut_of_the_wire_costs_the_packets_and_no_picture(seconds: float) -> None:
    async def scenario(here: World, both: TwoRelays, _between: Between) -> None:
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(2.0)
            here.network.cut(INNER[0])
            await asyncio.sleep(seconds)
            frames = playing.report().frames_decoded
            here.network.mend(INNER[0])
            await asyncio.sleep(3.0)
            assert playing.report().frames_decoded > frames + 50
            assert playing.ended is None
        assert both.trunk("inner").lost > seconds * 20

    hosts(scenario)


def test_a_dead_wire_ends_the_viewing_on_both_sides_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(here: World, both: TwoRelays, _between: Between) -> None:
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(2.0)
            here.network.cut(INNER[0])
            async with asyncio.timeout(200.0):
                await playing.over.wait()
            await asyncio.sleep(10.0)
            assert here.gateway.orphans == 0
            assert both.streams() == 0
        here.network.mend(INNER[0])
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(2.0)
            assert playing.report().frames_decoded > 40

    with caplog.at_level(logging.WARNING):
        hosts(scenario)
    silent = [record for record in caplog.records if record.message == "viewing.leg_silent"]
    assert len(silent) == 1


def test_media_goes_on_while_the_control_link_is_away() -> None:
    async def scenario(here: World, both: TwoRelays, _between: Between) -> None:
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(1.0)
            both.control_up = False
            await asyncio.sleep(4.0)
            both.join()
            await asyncio.sleep(1.0)
            both.join()  # and once more at once: a link that flaps
            await asyncio.sleep(2.0)
            report = playing.report()
            assert report.frames_decoded > 190
            assert report.packets_lost_count == 0
            assert report.packets_repeated == 0
        assert both.trunk("inner").refused.total == 0

    hosts(scenario)


def test_keys_change_by_the_clock_and_no_packet_is_lost() -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(Terms().rekey_seconds * 2 + 10.0)
            report = playing.report()
            assert report.packets_lost_count == report.packets_repeated == 0
        assert both.trunk("inner").refused.total == 0
        assert len({payload[1] for _, payload in between.sent}) == 3, "epochs"
        used = [side for side, message in both.messages if message.startswith(b"K")]
        assert used.count("inner") == 3
        assert used.count("outer") == 1, "nothing came under its key: it needs no other"

    hosts(scenario)


def test_without_a_key_no_picture_crosses_in_the_clear() -> None:
    async def scenario(here: World, both: TwoRelays, between: Between) -> None:
        both.legs["inner"].send = lambda message: (
            None if message.startswith(b"K") else both._carry("inner", message)
        )
        both.planes["outer"].accept(both.planes["inner"].offer())
        both.planes["inner"].offer()
        both.planes["inner"].offer()  # the outer host's key is of no use any more
        async with here.upper.play(here.shared()[0]) as playing:
            await asyncio.sleep(2.0)
            assert playing.report().packets_received == 0
            assert both.trunk("inner").refused.unknown_epoch == len(between.sent) > 20
            assert all(b"\0\0\1\xba" not in payload for _, payload in between.sent)
            both.legs["inner"].send = lambda message: both._carry("inner", message)
            both.legs["inner"].joined()
            await asyncio.sleep(2.0)
            assert playing.report().packets_received > 20

    hosts(scenario)
