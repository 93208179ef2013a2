"""Lower and upper simulator directly against each other: what one sends the other counts."""

import asyncio

import pytest

from interop.sim.catalog import sample_tree
from interop.sim.membership import Terms
from interop.sim.queries import QueryFailed
from interop.sim.registrar import NotRegistered
from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from sip.events import Address
from tests.interop.ground import AT_LOWER, LOWER, TERMS, pair, play
from tests.sip.network import Network

CAMERA = "44010600001320000003"


def test_registration_keepalives_refresh_and_leaving() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            bound = await both.upper.wait_registered(LOWER.user)
            assert (bound.address, bound.expires) == (AT_LOWER, 600)
            await asyncio.sleep(1300.0)
            assert both.lower.membership.registrations == 3  # refreshed at 480 s and 960 s
            (bound,) = both.upper.registered()
            assert bound.keepalives == both.lower.membership.keepalives
            assert 19 <= bound.keepalives <= 21
        assert both.upper.registered() == ()

    play(scenario)


def test_a_wrong_password_is_never_registered_and_tried_again_slowly() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network, password="wrong") as both:
            await asyncio.sleep(130.0)
            assert both.upper.registered() == ()
            error = both.lower.membership.last_error
            assert error is not None
            assert error.status == 401

    play(scenario)


def test_an_unknown_id_is_answered_like_a_wrong_password() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network, known=["44010700002000000001"]) as both:
            await asyncio.sleep(1.0)
            error = both.lower.membership.last_error
            assert error is not None
            assert error.status == 401

    play(scenario)


def test_a_server_that_forgot_is_registered_at_again() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            both.upper.registrar.forget(LOWER.user)
            await asyncio.sleep(61.0)
            assert [bound.id for bound in both.upper.registered()] == [LOWER.user]
            assert both.upper.registrar.rejected == 1

    play(scenario)


def test_a_server_that_is_gone_is_found_again() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            network.cut(AT_LOWER[0])
            await asyncio.sleep(400.0)
            assert not both.lower.registered.is_set()
            network.mend(AT_LOWER[0])
            await asyncio.sleep(120.0)
            assert both.lower.registered.is_set()

    play(scenario)


@pytest.mark.parametrize("cameras", [0, 1, 6, 200])
def test_a_catalog_arrives_whole_and_in_order(cameras: int) -> None:
    async def scenario(network: Network) -> None:
        tree = sample_tree(LOWER.user, "County", cameras, branches=("Roads", "学校"))
        async with pair(network, tree=tree) as both:
            await both.upper.wait_registered(LOWER.user)
            report = await both.upper.catalog()
            assert report.complete
            assert report.announced == len(report.items) == cameras + 4
            assert report.ids()[:4] == (LOWER.user, *(branch.id for branch in tree.branches))
            assert report.channels() == tuple(camera.id for camera in tree.cameras)
            assert report.items[3]["Name"] == "学校"
            await asyncio.sleep(0.1)  # the 200 to the last page is on its way
            assert both.lower.answers.pages == report.pages == -(-(cameras + 4) // 4)

    play(scenario)


def test_pages_go_one_after_the_answer_to_the_other() -> None:
    async def scenario(network: Network) -> None:
        under_way = 0
        most = 0

        def watch(at: float, payload: bytes, source: Address, destination: Address, arrives: bool) -> None:
            nonlocal under_way, most
            if payload.startswith(b"MESSAGE") and b"<SumNum>" in payload:
                under_way += 1
                most = max(most, under_way)
            elif payload.startswith(b"SIP/2.0 200") and destination == AT_LOWER and b" MESSAGE" in payload:
                under_way -= 1

        async with pair(network, tree=sample_tree(LOWER.user, "County", 60)) as both:
            await both.upper.wait_registered(LOWER.user)
            network.taps.append(watch)
            await both.upper.catalog()
            assert most == 1

    play(scenario)


def test_a_branch_can_be_asked_for_alone() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            schools = both.lower.tree.branches[2]
            report = await both.upper.catalog(target=schools.id)
            assert report.ids()[0] == schools.id
            assert [item["Name"] for item in report.items[1:]] == [f"Schools camera {n}" for n in (2, 4, 6)]
            with pytest.raises(QueryFailed, match="404"):
                await both.upper.catalog(target="44010600002160000099")

    play(scenario)


def test_pages_that_never_come_end_an_incomplete_catalog() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            network.drop = lambda payload, source, to: b"Num=" in payload and b"camera 5" in payload
            report = await both.upper.catalog(quiet_seconds=5.0)
            assert not report.complete
            assert (report.announced, len(report.items)) == (10, 8)

    play(scenario)


def test_info_and_status_are_answered_for_platform_and_camera() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            with pytest.raises(NotRegistered):
                await both.upper.device_info()
            await both.upper.wait_registered(LOWER.user)
            info = await both.upper.device_info()
            assert (info["DeviceName"], info["Result"], info["Channel"]) == ("County", "OK", "6")
            status = await both.upper.device_status(target=CAMERA)
            assert (status["DeviceID"], status["Online"]) == (CAMERA, "ONLINE")
            assert status["DeviceTime"].startswith("2026-01-01T08:00:0")

    play(scenario)


def test_a_camera_is_played_and_nothing_is_lost_or_altered() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            async with both.upper.play(CAMERA, camera=3) as playing:
                await asyncio.sleep(4.0)
                (sent,) = await both.lower.pause_streams()
                assert await both.upper.drained({CAMERA: sent.packets_sent})
                got = await playing.finish()
            assert 100 <= sent.frames_sent <= 102
            assert got.frames_decoded == got.frames_received == sent.frames_sent
            assert got.sha256 == sent.sha256
            assert got.payload_bytes == sent.bytes_sent
            assert (got.packets_received, got.packets_lost) == (sent.packets_sent, ())
            assert (got.frames_lost, got.frames_repeated, got.wrong_camera, got.unreadable) == ((), 0, 0, 0)
            assert (got.first_frame, got.last_frame, got.camera) == (0, sent.frames_sent - 1, 3)
            assert got.setup_ms == pytest.approx(20.0)  # INVITE, 200, ACK, RTP: 5 ms each
            assert set(got.delays_ms) <= {4.0, 5.0, 6.0}
            assert 200_000 < got.bits_per_second < 900_000
            assert sent.ssrc == got.ssrc
            await asyncio.sleep(1.0)
            assert both.lower.records()[0].ended
            assert both.lower_calls.active == both.upper_calls.active == 0

    play(scenario)


def test_four_cameras_play_at_once_each_its_own() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            numbers = dict(zip((f"4401060000132000000{n}" for n in (1, 2, 3, 4)), (1, 2, 3, 4), strict=True))

            async def watch(channel: str) -> None:
                async with both.upper.play(channel, camera=numbers[channel]) as playing:
                    await asyncio.sleep(2.0)
                    got = await playing.finish()
                assert got.frames_decoded >= 48
                assert (got.wrong_camera, got.packets_lost_count, got.frames_repeated) == (0, 0, 0)
                sent = next(record for record in both.lower.records() if record.camera == channel)
                assert got.last_timestamp is not None
                assert got.sha256 == sent.running[got.last_timestamp]

            await asyncio.gather(*map(watch, numbers))
            assert len({record.ssrc for record in both.lower.records()}) == 4

    play(scenario)


def test_loss_and_disorder_are_seen_and_listed() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            lost = 0

            def drop(payload: bytes, source: Address, destination: Address) -> bool:
                nonlocal lost
                hit = payload[:1] == b"\x80" and int.from_bytes(payload[2:4], "big") % 50 == 7
                lost += hit
                return hit

            network.drop = drop
            async with both.upper.play(CAMERA) as playing:
                await asyncio.sleep(8.0)
                network.drop = lambda payload, source, destination: False
                await asyncio.sleep(4.0)
                (sent,) = await both.lower.pause_streams()
                assert await both.upper.drained({CAMERA: sent.packets_sent}, seconds=9.0)
                got = await playing.finish()
            assert got.packets_lost_count == len(got.packets_lost) == lost > 5
            assert {number % 50 for number in got.packets_lost} <= {
                7,
                (7 + 0x10000) % 50,
                7 - 0x10000 % 50 + 50,
            }
            assert got.packets_received == sent.packets_sent - lost
            assert got.sha256 != sent.sha256
            assert got.frames_damaged >= lost - 1

    play(scenario, jitter=0.03)


def test_a_stop_below_is_noticed_above() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            async with both.upper.play(CAMERA) as playing:
                await asyncio.sleep(1.0)
                both.running.cancel()
                async with asyncio.timeout(5.0):
                    await playing.over.wait()
                assert playing.report().ended == "bye"
                await asyncio.gather(both.running, return_exceptions=True)
            assert both.upper.registered() == ()

    play(scenario)


@pytest.mark.parametrize(
    ("behaviour", "channel", "status"),
    [(Behaviour(), "44010600001320009999", 404), (Behaviour(refuse=486), CAMERA, 486)],
)
def test_a_refused_play_is_reported_with_its_status(behaviour: Behaviour, channel: str, status: int) -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            both.lower.senders.behaviours[CAMERA] = behaviour
            with pytest.raises(PlayRefused):
                async with both.upper.play(channel):
                    pytest.fail("was accepted")
            assert [(one.channel, one.status) for one in both.upper.refused] == [(channel, status)]
            assert both.upper.playing == {}

    play(scenario)


@pytest.mark.parametrize(
    ("behaviour", "frames"),
    [
        (Behaviour(media=False), 0),
        (Behaviour(media_seconds=1.0), 25),
        (Behaviour(foreign_ssrc=4711), 0),
        (Behaviour(foreign_port=True), 51),
        (Behaviour(answer_ssrc=106000009), 51),
        (Behaviour(answer_seconds=1.0), 51),
    ],
)
def test_a_camera_misbehaves_as_it_is_told(behaviour: Behaviour, frames: int) -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            both.lower.senders.behaviours[CAMERA] = behaviour
            async with both.upper.play(CAMERA) as playing:
                await asyncio.sleep(2.0)
                got = await playing.finish()
            assert abs(got.frames_decoded - frames) <= 1
            assert (got.packets_foreign > 0) == (behaviour.foreign_ssrc is not None)
            if behaviour.answer_ssrc:
                assert got.ssrc == behaviour.answer_ssrc

    play(scenario)


def test_a_play_given_up_early_leaves_nothing_behind() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network) as both:
            await both.upper.wait_registered(LOWER.user)
            both.lower.senders.behaviours[CAMERA] = Behaviour(answer_seconds=5.0)
            with pytest.raises(PlayRefused):
                async with both.upper.play(CAMERA, answer_seconds=1.0):
                    pytest.fail("was accepted")
            await asyncio.sleep(10.0)
            assert both.lower_calls.active == both.upper_calls.active == 0
            assert set(network.bound()) == {AT_LOWER, ("198.51.100.10", 5060)}

    play(scenario)


def test_a_short_lease_is_refreshed_in_time() -> None:
    async def scenario(network: Network) -> None:
        async with pair(network, terms=Terms(expires=60, keepalive=20.0, retry=TERMS.retry)) as both:
            await both.upper.wait_registered(LOWER.user)
            for _ in range(300):
                await asyncio.sleep(1.0)
                assert len(both.upper.registered()) == 1

    play(scenario)
