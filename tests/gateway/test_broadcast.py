"""Both legs turned round: a voice from above, the loudspeaker below calls for it (9.12, 5.11, 6.6).

The same Source, Viewing, gate and relay as for a picture, with inner and outer in each other's place.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interop.sim.listening import Habits, HearingRecord
from interop.sim.speaking import BroadcastRefused, Manner, SpeechReport
from interop.sim.tasks import Tasks
from interop.sim.voice import Voice
from tests.clock import run
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LINKS,
    LOWER,
    OUTER,
    OUTER_ID,
    UPPER,
    UPPER_ID,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)

MICROPHONE = "44000000001360000001"
SPEAK = """
[[rule]]
id = "speak"
reason = "The upper platform may speak."
direction = "outward"
action = "media.broadcast"
channels = ["*"]
verdict = "allow"
"""


def spoken(link: Link, scenario: Callable[[World], Awaitable[None]], *, written: str = "") -> None:
    """Run it where the upper may speak; afterwards nothing may be left, and both trails are whole."""

    async def whole() -> None:
        async with world(link, cameras=2, speakers=2, written=text() + (written or SPEAK)) as here:
            await here.shown()
            await scenario(here)
            await asyncio.sleep(25.0)
            assert here.gateway.orphans == 0
            assert here.plane.sockets() == 0
            assert here.lower_calls.active == here.upper_calls.active == 0
            assert here.trails_whole()

    run(whole())


def same_voice(said: SpeechReport, heard: HearingRecord) -> None:
    assert heard.packets_received == said.frames_sent > 0
    assert heard.sha256 == said.sha256
    assert heard.voice == b"".join(map(Voice().frame, range(said.frames_sent)))
    assert (heard.uneven, heard.packets_lost, heard.packets_late, heard.packets_foreign) == (0, 0, 0, 0)


async def speak(
    here: World, target: str, *, seconds: float = 2.0, manner: Manner | None = None
) -> SpeechReport:
    """Speak for some seconds, until every packet was heard, and hang up."""
    before = len(here.lower.listeners.records())
    async with here.upper.broadcast(target, manner=manner or Manner()) as broadcast:
        assert broadcast.complaints == []
        await asyncio.sleep(seconds)
        (said,) = await broadcast.pause()
        await here.lower.listeners.heard(said.frames_sent, voices=before + 1)
    await here.lower.listeners.ended(voices=before + 1)
    return said


def test_what_is_said_above_is_heard_below_to_the_last_byte(link: Link) -> None:
    async def scenario(here: World) -> None:
        wire = Wire(here.network)
        (speaker,) = here.speakers()
        said = await speak(here, speaker, seconds=4.0)
        (heard,) = here.lower.listeners.records()
        same_voice(said, heard)
        assert 199 <= said.frames_sent <= 201
        assert (said.payload_type, heard.payload_type, heard.direction) == (8, 8, "sendonly")
        assert heard.media_format == "v/////a/1/8/1"
        assert heard.ended == "bye"
        assert heard.ssrc == heard.offered_ssrc != said.ssrc

        notice = wire.between(OUTER, LOWER, "MESSAGE")[-1]
        assert here.lower.listeners.notices == [(OUTER_ID, speaker)]
        assert UPPER_ID not in notice
        (above,) = wire.between(INNER, UPPER, "INVITE")
        assert above.startswith(f"INVITE sip:{UPPER_ID}@")
        assert header(above, "Subject").startswith(f"{UPPER_ID}:")
        assert f",{speaker}:" in header(above, "Subject")
        assert header(above, "From").startswith(f"<sip:{INNER_ID}@")
        assert LOWER not in above
        assert OUTER not in above

    spoken(link, scenario)


def test_the_audit_of_both_doors_tells_of_question_answer_and_media(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        await speak(here, speaker)
        await asyncio.sleep(1.0)
        for side in ("outer", "inner"):
            records = [each for each in here.audit(side) if each.get("action") == "media.broadcast"]
            told = [(each["kind"], each["direction"], each["rule"]) for each in records]
            assert told == [
                ("Ask", "outward", "speak"),
                ("Answer", "inward", "speak"),
                ("StreamOpen", "inward", "speak"),
                ("StreamOffered", "outward", "speak"),
            ]
            assert {each["verdict"] for each in records} == {"passed"}

    spoken(link, scenario)


@pytest.mark.parametrize(
    "habits",
    [
        Habits(response_seconds=2.0, invite_seconds=0.0),
        Habits(response_seconds=None),
        Habits(names_device=False),
        Habits(names_ssrc=False),
        Habits(from_device=True),
        Habits(subject=False),
        Habits(formats=(8, 96)),
        Habits(formats=(96,)),
        Habits(invite_seconds=9.0),
    ],
    ids=["invite-first", "no-response", "nameless", "no-y", "of-device", "no-subject", "both", "ps", "slow"],
)
def test_habits_of_real_devices_are_served(habits: Habits, link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        here.lower.listeners.habits[speaker] = habits
        said = await speak(here, speaker)
        (heard,) = here.lower.listeners.records()
        same_voice(said, heard)
        assert said.payload_type == habits.formats[0]
        assert here.lower.listeners.unanswered == 0

    spoken(link, scenario)


@pytest.mark.parametrize("manner", [Manner(answer_ssrc=77), Manner(names_ssrc=False)], ids=["own-y", "no-y"])
def test_the_speakers_number_counts_above_and_never_shows_below(manner: Manner, link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        said = await speak(here, speaker, manner=manner)
        (heard,) = here.lower.listeners.records()
        same_voice(said, heard)
        assert heard.ssrc != said.ssrc

    spoken(link, scenario)


def test_without_a_rule_the_near_door_refuses_and_nothing_is_heard_below(link: Link) -> None:
    async def scenario(here: World) -> None:
        wire = Wire(here.network)
        (speaker,) = here.speakers()
        with pytest.raises(BroadcastRefused) as refused:
            async with here.upper.broadcast(speaker):
                pass
        assert refused.value.status == 403
        assert here.lower.listeners.notices == []
        assert wire.between(OUTER, LOWER, "MESSAGE") == []
        assert here.audit("inner")[-1]["verdict"] == "refused"

    spoken(link, scenario, written=SPEAK.replace('"allow"', '"deny"'))


def test_who_is_not_shared_does_not_listen_and_nobody_below_hears_of_it(link: Link) -> None:
    async def scenario(here: World) -> None:
        wire = Wire(here.network)
        kept = next(each.id for each in here.tree.speakers if each.id not in here.speakers())
        for target in (kept, "44010600001370000099", INNER_ID):
            with pytest.raises(BroadcastRefused) as refused:
                async with here.upper.broadcast(target):
                    pass
            assert (refused.value.status, refused.value.reason) == (200, "Result is ERROR")
        assert wire.between(OUTER, LOWER, "MESSAGE") == []

    spoken(link, scenario)


@pytest.mark.parametrize(
    "habits",
    [Habits(result="ERROR"), Habits(refuse=403), Habits(response_seconds=None, invite_seconds=None)],
    ids=["error", "refused", "silent"],
)
def test_a_loudspeaker_that_will_not_is_an_error_above(habits: Habits, link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        here.lower.listeners.habits[speaker] = habits
        with pytest.raises(BroadcastRefused, match="Result is ERROR"):
            async with here.upper.broadcast(speaker):
                pass

    spoken(link, scenario)


def test_a_speaker_above_that_will_not_is_a_refusal_of_its_class_below(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        with pytest.raises(BroadcastRefused, match="486"):
            async with here.upper.broadcast(speaker, manner=Manner(refuse=486)):
                pass
        (heard,) = here.lower.listeners.records()
        assert heard.status == 486

    spoken(link, scenario)


def test_whoever_hangs_up_below_ends_the_leg_above_at_once(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        here.lower.listeners.habits[speaker] = Habits(hang_up_packets=20)
        async with here.upper.broadcast(speaker) as broadcast:
            async with asyncio.timeout(2.0):
                await broadcast.over.wait()
        (report,) = here.upper.broadcasts.reports
        assert report.ended == "bye"

    spoken(link, scenario)


def test_a_voice_that_falls_silent_ends_after_its_time_on_both_legs(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        async with here.upper.broadcast(speaker, manner=Manner(media_seconds=1.0)) as broadcast:
            start = here.network.loop.time()
            await broadcast.over.wait()
            assert 55 < here.network.loop.time() - start < 65
        await here.lower.listeners.ended()
        assert here.lower.listeners.records()[0].ended == "bye"

    spoken(link, scenario)


def test_several_loudspeakers_of_one_device_hear_one_voice(link: Link) -> None:
    async def scenario(here: World) -> None:
        wire = Wire(here.network)
        (speaker,) = here.speakers()
        listeners = here.lower.listeners
        async with here.upper.broadcast(speaker) as broadcast, Tasks() as more:
            more.start(listeners._fetch(OUTER_ID, speaker, here.shared()[0], Habits(), 0.0))
            await listeners.heard(50, voices=2)
            await broadcast.pause()
            await asyncio.sleep(0.5)
            one, two = listeners.records()
            assert one.voice[-1600:] == two.voice[-1600:]
        assert len(wire.between(INNER, UPPER, "INVITE")) == 1

    spoken(link, scenario)


def test_two_voices_at_once_do_not_mix(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        camera = here.shared()[0]
        async with (
            here.upper.broadcast(speaker, voice=0) as first,
            here.upper.broadcast(camera, voice=1) as second,
        ):
            await here.lower.listeners.heard(50, voices=2)
            (to_speaker,), (to_camera,) = await first.pause(), await second.pause()
            await asyncio.sleep(0.5)
        heard = {record.speaker: record for record in here.lower.listeners.records()}
        assert heard[speaker].sha256 == to_speaker.sha256
        assert heard[camera].sha256 == to_camera.sha256 != to_speaker.sha256

    spoken(link, scenario)


def test_a_second_operator_s_voice_goes_to_the_same_loudspeaker_as_its_own(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        async with here.upper.broadcast(speaker) as first:
            await first.spoken(10)
            async with here.upper.broadcast(speaker, voice=2, source=MICROPHONE) as second:
                await here.lower.listeners.heard(50, voices=2)
                (one,), (two,) = await first.pause(), await second.pause()
                await asyncio.sleep(0.5)
        heard = here.lower.listeners.records()
        assert [record.sha256 for record in heard] == [one.sha256, two.sha256]

    spoken(link, scenario)


def test_what_was_said_is_not_fetched_again_by_a_call_that_comes_late(link: Link) -> None:
    async def scenario(here: World) -> None:
        wire = Wire(here.network)
        (speaker,) = here.speakers()
        await speak(here, speaker, seconds=1.0)
        await asyncio.sleep(1.0)
        await here.lower.listeners._fetch(OUTER_ID, speaker, speaker, Habits(), 0.0)
        assert here.lower.listeners.records()[-1].status == 404
        assert len(wire.between(INNER, UPPER, "INVITE")) == 1

    spoken(link, scenario)


def test_a_lower_that_nobody_called_is_turned_away_without_a_call(link: Link) -> None:
    async def scenario(here: World) -> None:
        wire = Wire(here.network)
        (speaker,) = here.speakers()
        await speak(here, speaker)
        await asyncio.sleep(25.0)
        listeners = here.lower.listeners
        await listeners._fetch(OUTER_ID, speaker, speaker, Habits(), 0.0)
        assert listeners.records()[-1].status == 403
        assert len(wire.between(INNER, UPPER, "INVITE")) == 1
        assert wire.between(OUTER, LOWER, "SIP/2.0 100")[1:] == []

    spoken(link, scenario)


def test_a_lower_that_is_lost_ends_the_voice_above(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        async with here.upper.broadcast(speaker) as broadcast:
            await asyncio.sleep(0.1)  # by then its INVITE is answered
            here.network.cut(LOWER)
            await broadcast.over.wait()
            here.network.mend(LOWER)
        assert here.upper.broadcasts.reports[0].ended == "bye"

    spoken(link, scenario)


def test_a_picture_and_a_voice_of_one_camera_go_both_ways_at_once(link: Link) -> None:
    async def scenario(here: World) -> None:
        camera = here.shared()[0]
        number = next(each.number for each in here.tree.cameras if each.id == camera)
        async with here.upper.play(camera, camera=number) as playing:
            said = await speak(here, camera)
            sent = {each.camera: each.packets_sent for each in await here.lower.pause_streams()}
            assert await here.upper.drained(sent)
            seen = await playing.finish()
        same_voice(said, here.lower.listeners.records()[0])
        assert seen.frames_lost == ()
        assert seen.sha256 == here.lower.records()[0].sha256

    spoken(link, scenario)


def test_after_a_sudden_death_both_legs_of_a_voice_have_their_bye(link: Link) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        async with here.upper.broadcast(speaker) as broadcast:
            await here.lower.listeners.heard(20)
            await here.kill()
            async with asyncio.timeout(3.0):
                await broadcast.over.wait()
                await here.lower.listeners.ended()
        assert here.lower.listeners.records()[0].ended == "bye"

    spoken(link, scenario)


HABITS = st.builds(
    replace,
    st.just(Habits()),
    response_seconds=st.sampled_from([None, 0.0, 3.0, 12.0]),
    invite_seconds=st.sampled_from([None, 0.0, 0.1, 8.0, 19.0]),
    result=st.sampled_from(["OK", "OK", "ERROR"]),
    hang_up_packets=st.sampled_from([None, 1, 30]),
)
MANNERS = st.sampled_from(
    [
        Manner(),
        Manner(refuse=603),
        Manner(answer_seconds=16.0),
        Manner(media=False),
        Manner(media_seconds=0.5),
    ]
)


@settings(max_examples=25)
@given(HABITS, MANNERS, st.integers(0, 250).map(lambda tenths: tenths / 10), st.sampled_from(sorted(LINKS)))
def test_whatever_both_ends_do_nothing_is_left_behind(
    habits: Habits, manner: Manner, stay: float, link: str
) -> None:
    async def scenario(here: World) -> None:
        (speaker,) = here.speakers()
        here.lower.listeners.habits[speaker] = habits

        async def talk() -> None:
            async with here.upper.broadcast(speaker, manner=manner) as broadcast:
                await broadcast.over.wait()

        task = asyncio.create_task(talk())
        await asyncio.sleep(stay)
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert error is None or isinstance(error, asyncio.CancelledError | BroadcastRefused)
        await asyncio.sleep(100.0)

    spoken(LINKS[link], scenario)
