"""Broadcasts of the upper simulator to the lower one: notice, Response, the speaker's INVITE, the voice."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable

import pytest
from av import CodecContext
from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet

from interop.sim import ps, rtp, sdp
from interop.sim.camera import CameraSpec
from interop.sim.catalog import sample_tree
from interop.sim.device import Devices
from interop.sim.listening import WELL_BEHAVED, Habits, HearingRecord
from interop.sim.membership import Server
from interop.sim.speaking import WELL_MANNERED, BroadcastRefused, Manner, SpeechReport
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from interop.sim.voice import Voice, a_law
from sip.aio.calls import Calls
from sip.endpoint import Party
from sip.events import Address
from tests.interop.ground import (
    AT_LOWER,
    AT_UPPER,
    LOWER,
    PASSWORD,
    START,
    TERMS,
    UPPER,
    Pair,
    attach,
    pair,
    play,
)
from tests.sip.network import Network

SPEAKER = "44010600001370000001"
OTHER = "44010600001370000002"
CAMERA = "44010600001320000003"
TREE = sample_tree(LOWER.user, "County", 6, speakers=2)


def both(scenario: Callable[[Pair], Awaitable[None]], habits: Habits = WELL_BEHAVED) -> None:
    """Run it between registered simulators; the first speaker has these habits. Nothing may be left."""

    async def outer(network: Network) -> None:
        async with pair(network, tree=TREE) as here:
            here.lower.listeners.habits[SPEAKER] = habits
            await here.upper.wait_registered(LOWER.user)
            await scenario(here)
            await asyncio.sleep(1.0)
            assert here.lower_calls.active == here.upper_calls.active == 0
            assert set(network.bound()) == {AT_LOWER, AT_UPPER}

    play(outer)


def same_voice(said: SpeechReport, heard: HearingRecord) -> None:
    """What was heard is what was said, every packet of it, in its time."""
    assert heard.packets_received == said.frames_sent > 0
    assert heard.sha256 == said.sha256
    assert heard.payload_bytes == said.bytes_sent
    assert heard.voice == b"".join(map(Voice().frame, range(said.frames_sent)))
    assert (heard.first_timestamp, heard.last_timestamp) == (said.first_timestamp, said.last_timestamp)
    assert (heard.uneven, heard.packets_lost, heard.packets_late, heard.packets_foreign) == (0, 0, 0, 0)
    assert heard.ssrc == said.ssrc
    assert heard.payload_type == said.payload_type


def test_a_voice_is_announced_fetched_and_heard_to_the_last_byte() -> None:
    async def scenario(here: Pair) -> None:
        async with here.upper.broadcast(SPEAKER) as broadcast:
            assert broadcast.result == "OK"
            assert broadcast.complaints == []
            await asyncio.sleep(4.0)
            (said,) = await broadcast.pause()
            await here.lower.listeners.heard(said.frames_sent)
        await here.lower.listeners.ended()
        (heard,) = here.lower.listeners.records()
        same_voice(said, heard)
        assert 199 <= said.frames_sent <= 201
        assert said.bytes_sent == 160 * said.frames_sent
        assert (said.payload_type, heard.direction, heard.media_format) == (8, "sendonly", "v/////a/1/8/1")
        assert said.subject == f"{UPPER.user}:{said.ssrc:010d},{SPEAKER}:1"
        assert f"{said.ssrc:010d}".startswith("010600")
        assert said.offered_ssrc == heard.offered_ssrc == said.ssrc
        assert (said.source, said.target, said.listener) == (UPPER.user, SPEAKER, SPEAKER)
        assert (heard.speaker, heard.source, heard.status) == (SPEAKER, UPPER.user, 200)
        assert (heard.ended, here.upper.broadcasts.reports[0].ended) == ("bye", "left")
        assert here.lower.listeners.notices == [(UPPER.user, SPEAKER)]

    both(scenario)


def test_packets_are_g711_each_20_ms_and_only_the_first_has_the_marker() -> None:
    packets: list[tuple[float, rtp.Packet]] = []

    def watch(at: float, payload: bytes, source: Address, destination: Address, arrives: bool) -> None:
        if payload[:1] == b"\x80" and (packet := rtp.read(payload)) is not None:
            packets.append((at, packet))

    async def scenario(here: Pair) -> None:
        here.network.taps.append(watch)
        async with here.upper.broadcast(SPEAKER) as broadcast:
            await broadcast.spoken(100)

    both(scenario)
    (first, opening), *rest = packets
    assert opening.marker
    for number, (at, packet) in enumerate(rest, start=1):
        assert at - first == pytest.approx(number * 0.02)
        assert packet.timestamp == (opening.timestamp + number * 160) % (1 << 32)
        assert packet.sequence == (opening.sequence + number) % (1 << 16)
        assert (packet.payload_type, packet.marker, len(packet.payload)) == (8, False, 160)


@pytest.mark.parametrize(
    "habits",
    [
        Habits(response_seconds=2.0, invite_seconds=0.0),
        Habits(names_device=False),
        Habits(names_ssrc=False),
        Habits(from_device=True),
        Habits(subject=False),
        Habits(formats=(8, 96)),
        Habits(formats=(96,)),
    ],
    ids=["invite-first", "no-device", "no-y", "from-device", "no-subject", "both-formats", "only-ps"],
)
def test_habits_of_real_devices_are_taken(habits: Habits) -> None:
    async def scenario(here: Pair) -> None:
        async with here.upper.broadcast(SPEAKER) as broadcast:
            await asyncio.sleep(1.0)
            (said,) = await broadcast.pause()
            await here.lower.listeners.heard(said.frames_sent)
        (heard,) = here.lower.listeners.records()
        same_voice(said, heard)
        assert said.payload_type == (96 if habits.formats == (96,) else 8)
        assert said.listener == (LOWER.user if habits.from_device else SPEAKER)
        assert (said.offered_ssrc is None) is not habits.names_ssrc
        assert (broadcast.complaints == []) is habits.subject

    both(scenario, habits)


def test_where_the_listener_leaves_y_out_the_speaker_chooses_and_says() -> None:
    async def scenario(here: Pair) -> None:
        async with here.upper.broadcast(SPEAKER, manner=Manner(answer_ssrc=42)) as broadcast:
            await broadcast.spoken(20)
        (heard,) = here.lower.listeners.records()
        assert (heard.offered_ssrc, heard.ssrc, heard.packets_foreign) == (None, 42, 0)

    both(scenario, Habits(names_ssrc=False))


@pytest.mark.parametrize(
    ("habits", "status", "reason"),
    [
        (Habits(refuse=403), 403, "403"),
        (Habits(result="ERROR"), 200, "Result is ERROR"),
        (Habits(response_seconds=None), 200, "no Response in 20 s"),
        (Habits(invite_seconds=None), 200, "no INVITE in 20 s"),
    ],
)
def test_a_broadcast_that_comes_to_nothing_says_why(habits: Habits, status: int, reason: str) -> None:
    async def scenario(here: Pair) -> None:
        with pytest.raises(BroadcastRefused, match=reason) as refused:
            async with here.upper.broadcast(SPEAKER):
                pytest.fail("was fetched")
        assert refused.value.status == status
        assert here.upper.broadcasts.refused == [refused.value]

    both(scenario, habits)


def test_a_target_that_nobody_has_is_answered_404() -> None:
    async def scenario(here: Pair) -> None:
        with pytest.raises(BroadcastRefused, match="404"):
            async with here.upper.broadcast("44010600001370000099"):
                pytest.fail("was fetched")

    both(scenario)


@pytest.mark.parametrize("manner", [Manner(refuse=486), Manner(refuse=403, answer_seconds=1.0)])
def test_an_invite_that_is_refused_is_known_to_both(manner: Manner) -> None:
    async def scenario(here: Pair) -> None:
        with pytest.raises(BroadcastRefused, match=f"\\[{manner.refuse}\\] refused"):
            async with here.upper.broadcast(SPEAKER, manner=manner):
                pytest.fail("was fetched")
        (heard,) = here.lower.listeners.records()
        assert (heard.status, heard.ended) == (manner.refuse, "refused")

    both(scenario)


def test_an_invite_that_no_broadcast_asked_for_is_forbidden() -> None:
    async def scenario(here: Pair) -> None:
        with pytest.raises(BroadcastRefused):
            async with here.upper.broadcast(SPEAKER, answer_seconds=2.0):
                pytest.fail("was fetched")
        await here.lower.listeners.ended()
        assert here.lower.listeners.records()[0].status == 403
        assert here.upper.broadcasts.unwanted == 1

    both(scenario, Habits(invite_seconds=5.0))


def test_the_platform_as_target_is_every_speaker_that_it_has() -> None:
    async def scenario(here: Pair) -> None:
        async with here.upper.broadcast(LOWER.user, listeners=2) as broadcast:
            await broadcast.spoken(50)
            said = await broadcast.pause()
            await here.lower.listeners.heard(50, voices=2)
        heard = {one.speaker: one for one in here.lower.listeners.records()}
        assert set(heard) == {SPEAKER, OTHER} == {one.listener for one in said}
        assert heard[SPEAKER].ssrc != heard[OTHER].ssrc
        for one in said:
            same_voice(one, heard[one.listener])

    both(scenario)


def test_two_broadcasts_at_once_reach_each_its_own_target() -> None:
    async def scenario(here: Pair) -> None:
        async def speak(target: str, voice: int) -> SpeechReport:
            async with here.upper.broadcast(target, voice=voice) as broadcast:
                await broadcast.spoken(50)
                (said,) = await broadcast.pause()
                await here.lower.listeners.heard(50, voices=2)
                assert broadcast.complaints == []
            return said

        said = await asyncio.gather(speak(SPEAKER, 1), speak(CAMERA, 2))
        heard = {one.speaker: one for one in here.lower.listeners.records()}
        assert said[0].sha256 != said[1].sha256
        for one in said:
            assert one.sha256 == heard[one.target].sha256

    both(scenario)


def test_two_broadcasts_to_one_target_are_two_voices() -> None:
    async def scenario(here: Pair) -> None:
        async with (
            here.upper.broadcast(SPEAKER, voice=1) as one,
            here.upper.broadcast(SPEAKER, voice=2) as two,
        ):
            await here.lower.listeners.heard(50, voices=2)
            said = {report.sha256 for report in (*await one.pause(), *await two.pause())}
            await asyncio.sleep(0.1)
        assert {heard.sha256 for heard in here.lower.listeners.records()} == said
        assert len(said) == 2

    both(scenario)


def test_the_listener_may_hang_up_after_so_many_packets() -> None:
    async def scenario(here: Pair) -> None:
        async with here.upper.broadcast(SPEAKER) as broadcast:
            await broadcast.over.wait()
            (said,) = broadcast.reports()
        (heard,) = here.lower.listeners.records()
        assert heard.packets_received == 30
        assert (heard.ended, said.ended) == ("left", "bye")
        assert heard.last_timestamp is not None
        assert said.running[heard.last_timestamp] == heard.sha256  # all that came, and no more

    both(scenario, Habits(hang_up_packets=30))


@pytest.mark.parametrize(
    ("manner", "packets", "foreign"),
    [(Manner(media=False), 0, 0), (Manner(media_seconds=0.5), 25, 0), (Manner(foreign_ssrc=7), 0, 100)],
)
def test_manners_that_a_gateway_has_to_bear(manner: Manner, packets: int, foreign: int) -> None:
    async def scenario(here: Pair) -> None:
        async with here.upper.broadcast(SPEAKER, manner=manner):
            await asyncio.sleep(1.995)
            (heard,) = here.lower.listeners.records()
            assert (heard.packets_received, heard.packets_foreign) == (packets, foreign)

    both(scenario)


def test_the_catalog_lists_speakers_and_a_speaker_says_its_name() -> None:
    async def scenario(here: Pair) -> None:
        catalog = await here.upper.catalog()
        assert catalog.complete
        assert {SPEAKER, OTHER} <= set(catalog.ids())
        assert SPEAKER not in catalog.channels()  # nothing to be seen there
        (item,) = (await here.upper.catalog(target=OTHER)).items
        assert (item["Name"], item["ParentID"]) == ("Schools speaker 2", f"{LOWER.user}/44010600002160000002")
        assert (await here.upper.device_info(target=OTHER))["DeviceName"] == "Schools speaker 2"

    both(scenario)


def test_a_single_camera_has_a_speaker_of_its_own() -> None:
    async def scenario(network: Network) -> None:
        camera = CameraSpec("44010600001320000001", "Camera 1", 1)
        loop = asyncio.get_running_loop()
        above, upper_stack = attach(network, UPPER, AT_UPPER)
        below, lower_stack = attach(network, Party(camera.id, "4401060000"), AT_LOWER)
        async with Calls(above) as upper_calls, Calls(below) as lower_calls, Tasks() as background:
            upper = UpperPlatform(
                endpoint=above,
                calls=upper_calls,
                net=network,
                media_host=AT_UPPER[0],
                passwords={camera.id: PASSWORD},
                wall=lambda: START + loop.time(),
            )
            devices = Devices(
                endpoint=below,
                calls=lower_calls,
                net=network,
                server=Server(UPPER.user, UPPER.host, AT_UPPER),
                password=PASSWORD,
                media_host=AT_LOWER[0],
                cameras=[camera],
                terms=TERMS,
                wall=lambda: START + loop.time(),
            )
            background.start(devices.run())
            await devices.all_registered()
            async with upper.broadcast(camera.id) as broadcast:
                await broadcast.spoken(10)
                (said,) = await broadcast.pause()
                await devices.listeners.heard(10)
            same_voice(said, devices.listeners.records()[0])
        lower_stack.close()
        upper_stack.close()

    play(scenario)


# The voice itself


def test_a_law_is_what_another_decoder_takes_for_it() -> None:
    """Within half a step of G.711 everywhere, and never of the wrong sign."""
    decoder = CodecContext.create("pcm_alaw", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate, decoder.layout = 8000, "mono"
    samples = range(-32768, 32768, 7)
    (frame,) = decoder.decode(Packet(bytes(map(a_law, samples))))
    for sample, decoded in zip(samples, array("h", bytes(frame.planes[0])[: 2 * len(samples)]), strict=True):
        assert abs(sample - decoded) <= max(abs(sample) / 32, 8) + 8
        assert (sample >= 0) == (decoded >= 0)


def test_voices_differ_and_are_the_same_each_time() -> None:
    said = [b"".join(map(Voice(number).frame, range(50))) for number in range(7)]
    assert len(set(said)) == 7
    assert said[3] == b"".join(map(Voice(3).frame, range(50)))
    assert all(len(Voice(number).frame(5)) == 160 for number in range(7))


def test_a_voice_in_a_program_stream_comes_out_of_it() -> None:
    voice = Voice(1).frame(4)
    for first in (True, False):
        pack = ps.mux_voice(voice, 7200, first=first)
        assert ps.demux_voice(pack + pack) == voice + voice
        assert ps.demux(pack) is None  # no picture in it
    assert ps.demux_voice(b"\0\0\x01\xc0") == b""


@pytest.mark.parametrize(
    ("formats", "attributes", "chosen"),
    [
        ((8,), (), 8),
        ((8, 96), ("rtpmap:8 PCMA/8000", "rtpmap:96 PS/90000"), 8),
        ((96,), ("rtpmap:96 PS/90000",), 96),
        ((97,), ("rtpmap:97 PS/90000",), 97),
        ((0,), (), None),
        ((8,), ("rtpmap:8 X/8000",), None),
    ],
)
def test_what_a_voice_is_sent_as(
    formats: tuple[int, ...], attributes: tuple[str, ...], chosen: int | None
) -> None:
    offer = sdp.Description("1", "192.0.2.1", 1000, formats=formats, attributes=attributes, media="audio")
    assert offer.voice_type == chosen


def test_a_voice_is_described_as_the_standard_has_it() -> None:
    written = sdp.write(
        sdp.Description(
            SPEAKER,
            "203.0.113.50",
            15080,
            media="audio",
            formats=(8, 96),
            ssrc=106_000_009,
            media_format=sdp.VOICE_FORMAT,
        )
    )
    assert written.decode().split("\r\n")[5:] == [
        "m=audio 15080 RTP/AVP 8 96",
        "a=recvonly",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:96 PS/90000",
        "y=0106000009",
        "f=v/////a/1/8/1",
        "",
    ]
    read = sdp.read(written)
    assert read is not None
    assert (read.media, read.voice_type, read.ssrc) == ("audio", 8, 106_000_009)


def test_the_defaults_are_the_good_ones() -> None:
    assert Habits() == WELL_BEHAVED
    assert Manner() == WELL_MANNERED
