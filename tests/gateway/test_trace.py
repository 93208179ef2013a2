"""Where did it die? Each way to die has its sentence, from what the gateway itself kept, over both links."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.local.messages import Trace, Traced
from gateway.trace.facts import Message
from gateway.trace.merging import Gathered
from interop.sim.sending import Behaviour
from interop.sim.speaking import BroadcastRefused, Manner
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, HAND_LOWER, answer
from tests.gateway.by_hand import above, below, disk_full
from tests.gateway.packets import stream
from tests.gateway.test_broadcast import SPEAK
from tests.gateway.traced import answered, desk, told_of, traced
from tests.gateway.world import LOWER, LOWER_ID, OUTER, PASSWORD, UPPER_ID, Link, World, text, world


async def plays(here: World, channel: str, seconds: float = 2.0) -> None:
    async with here.upper.play(channel):
        await asyncio.sleep(seconds)


async def refused(here: World, channel: str) -> None:
    with pytest.raises(PlayRefused):
        await plays(here, channel)


def key(here: World, channel: str) -> str:
    return traced(here, channel).sentence.key


def test_a_picture_that_plays_is_one_ladder_over_both_sides(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            async with here.upper.play(channel):
                await asyncio.sleep(3.0)
                told = traced(here, channel)
            assert told.sentence.key == "trace.playing"
            assert (told.story.asking, told.story.origin) == ("inner", UPPER_ID)
            told.shows(
                "inner",
                f"INVITE {channel} m=",
                "StreamOpen [live]",
                f"INVITE {channel} m=",
                "200 OK (INVITE)",
                "StreamOffered [live]",
                "200 OK (INVITE)",
                f"first RTP from {LOWER}:",
                "last RTP: ",
            )
            (line,) = [line for line in told.lines(200) if "StreamOpen" in line]
            assert "<=" in line.split("|")[1]  # towards the public network, which is on the left
            await here.upper.drained({})

    run(scenario())


def test_who_hung_up_and_what_came_is_said_afterwards(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            await plays(here, channel)
            await asyncio.sleep(8.0)
            told = traced(here, channel)
            assert told.sentence.key == "trace.ended"
            assert "198.51.100.10:5060 (inner)" in told.said
            assert "0 were lost" in told.said
            told.shows("BYE", "StreamEnded [always] (bye)", "BYE", "last RTP: ")

    run(scenario())


def test_no_200_below_when_nothing_is_answered(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            await refused(here, CAMERAS[0])
            assert lower.count("INVITE") > 3
            told = traced(here, CAMERAS[0])
            assert told.sentence.key == "trace.no_answer_below"
            assert told.said.startswith(
                f"No 200 below: {HAND_LOWER[0]}:5060 did not answer at all; INVITE was"
            )
            told.shows(f"INVITE {CAMERAS[0]}", "StreamOpen [live]", "(again ", "StreamEnded")

    run(scenario())


def test_no_200_below_after_a_100(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def only_trying() -> None:
                lower.reply(await lower.invited(), "100 Trying")

            serving = asyncio.ensure_future(only_trying())
            await refused(here, CAMERAS[0])
            await serving
            told = traced(here, CAMERAS[0])
            assert told.sentence.key == "trace.no_200_below"
            assert "answered 100 Trying and nothing after it" in told.said

    run(scenario())


def test_a_refusal_below_is_quoted(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(refuse=486)
            await refused(here, channel)
            told = traced(here, channel)
            assert told.sentence.key == "trace.refused_below"
            assert told.said.startswith(f"{LOWER}:5060 below refused with 486 Busy Here")

    run(scenario())


def test_an_ack_that_does_not_arrive_below(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def deaf() -> None:
                invite = await lower.invited()
                with stream(here, invite) as media:
                    for _ in range(4):
                        lower.reply(invite, "200 OK", body=answer())
                        await asyncio.sleep(0.5)
                    await media.run(5)

            serving = asyncio.ensure_future(deaf())
            async with here.upper.play(CAMERAS[0]):
                await serving
                told = traced(here, CAMERAS[0])
            assert told.sentence.key == "trace.ack_below"
            assert "repeated its 200, 4 in all" in told.said

    run(scenario())


def test_an_ack_that_does_not_come_from_above(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            accepted = await upper.ask(upper.invite(channel))
            assert accepted.start == "SIP/2.0 200 OK"
            await asyncio.sleep(1.0)
            assert key(here, channel) == "trace.waiting_for_ack"
            await upper.wait("BYE", seconds=40.0)
            told = traced(here, channel)
            assert told.sentence.key == "trace.ack_above"
            assert told.said.startswith("ACK not routable: 198.51.100.11:5060 never acknowledged our 200")
            told.shows("200 OK (INVITE)", "no ACK")

    run(scenario())


def test_no_rtp_within_ten_seconds(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(media=False)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                assert key(here, channel) == "trace.waiting_for_media"
                await asyncio.sleep(12.0)
            told = traced(here, channel)
            assert told.sentence.key == "trace.no_rtp"
            assert told.said.startswith("No RTP within 10 s: nothing reached 203.0.113.20:")
            told.shows("200 OK (INVITE)", "no RTP")

    run(scenario())


def test_other_ssrc_than_agreed(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(foreign_ssrc=4_242)
            async with here.upper.play(channel):
                await asyncio.sleep(12.0)
            told = traced(here, channel)
            assert told.sentence.key == "trace.other_ssrc"
            assert "0000004242 came" in told.said
            told.shows("RTP refused: foreign_ssrc ")

    run(scenario())


def test_media_from_another_address_than_agreed(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite, address=("203.0.113.99", 30_000)) as media:
                    await media.run(10)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]):
                await serving
                await asyncio.sleep(12.0)
            told = traced(here, CAMERAS[0])
            assert told.sentence.key == "trace.other_source"
            assert HAND_LOWER[0] in told.said

    run(scenario())


def test_media_that_stop_and_what_was_lost_until_then(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(10)
                    media.lose(3)
                    await media.run(10)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]):
                await serving
                await asyncio.sleep(20.0)
            told = traced(here, CAMERAS[0])
            assert told.sentence.key == "trace.media_stopped"
            assert "20 packets, 3 lost" in told.said
            told.shows("first RTP", "last RTP: 20 packets, 3 lost", "RTP stopped")

    run(scenario())


def test_refused_by_a_rule_that_is_named(link: Link) -> None:
    async def scenario() -> None:
        narrow = 'action = "media.live"\nchannels = ["branch:'
        written = text(**{narrow: narrow.replace('["', '["*", "')})
        async with world(link, written=written) as here:
            await here.shown()
            channel = here.shared()[0]
            await refused(here, channel)
            told = traced(here, channel)
            assert told.sentence.key == "trace.refused"
            assert told.said.startswith(
                "Refused by rule no-live-schools at the door of inner: "
                f"media.live of {channel} for {UPPER_ID}."
            )
            told.shows(f"INVITE {channel}", "X=", "403 Forbidden (INVITE)")
            assert traced(here, str(told.story.correlation)).sentence == told.sentence

    run(scenario())


def test_no_rule_at_all(link: Link) -> None:
    async def scenario() -> None:
        written = text(**{'"media.live"': '"media.broadcast"'})
        async with world(link, written=written) as here:
            await here.shown()
            await refused(here, here.shared()[0])
            assert key(here, here.shared()[0]) == "trace.refused_default"

    run(scenario())


def test_a_door_that_cannot_record(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            with disk_full(here, "outer"):
                await refused(here, here.shared()[0])
                assert key(here, here.shared()[0]) == "trace.refused_audit"

    run(scenario())


def test_a_channel_that_is_kept_back_was_never_asked_for(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await refused(here, here.kept()[0])
            told = traced(here, here.kept()[0])
            assert told.sentence.key == "trace.not_shown"
            assert told.story.crossings == []
            told.shows(f"INVITE {here.kept()[0]}", "404 Not Found (INVITE)")

    run(scenario())


def test_a_viewer_that_gives_up(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=8.0)
            invite = upper.invite(channel, branch="z9hG4bKearly", call_id="early")
            upper.send(invite)
            await asyncio.sleep(3.0)
            assert key(here, channel) == "trace.no_200_below"
            cancel = invite.replace(b"INVITE sip:", b"CANCEL sip:").replace(b"1 INVITE", b"1 CANCEL")
            upper.send(cancel.partition(b"Contact:")[0] + b"Content-Length: 0\r\n\r\n")
            refusal = await upper.wait("SIP/2.0 487")
            upper.send(upper.within(invite, refusal, "ACK", cseq=1))
            await asyncio.sleep(0.5)
            told = traced(here, channel)
            assert told.sentence.key in {"trace.cancelled", "trace.refused_below"}
            told.shows(f"INVITE {channel}", "CANCEL", "487 Request Terminated (INVITE)")

    run(scenario())


def test_a_second_viewer_shares_the_source_and_has_a_story_of_its_own(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                async with here.upper.play(channel):
                    await asyncio.sleep(1.0)
                    answer = traced(here, channel)
                    attempts = [story for story in answer.stories if story.kind == "stream"]
                    first, second = attempts
                    assert first.stream == second.stream != ""
                    assert first.above[0].call_id != second.above[0].call_id
                    assert first.below[0].call_id == second.below[0].call_id
                    assert first.correlation != second.correlation
                    assert traced(here, str(first.correlation)).story.above == first.above

    run(scenario())


def test_two_channels_at_once_are_not_mixed_up(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            one, other = here.shared()[:2]
            here.lower.senders.behaviours[other] = Behaviour(refuse=480)
            async with here.upper.play(one):
                await refused(here, other)
                await asyncio.sleep(1.0)
                assert key(here, one) == "trace.playing"
                assert key(here, other) == "trace.refused_below"
                assert [story.kind for story in traced(here, other).stories if story.kind != "talk"] == [
                    "stream"
                ]

    run(scenario())


def test_questions_and_commands_have_their_ladder_too(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            await here.upper.device_info(target=channel)
            told = traced(here, channel)
            assert told.sentence.key == "trace.answered"
            told.shows(
                "MESSAGE DeviceInfo",
                "Ask [ask]",
                "MESSAGE DeviceInfo",
                "MESSAGE DeviceInfo Response",
                "Answer [ask]",
                "MESSAGE DeviceInfo Response",
            )
            await here.upper.control(channel, "A50F01021F0000D6")
            told = traced(here, channel)
            assert told.sentence.key == "trace.refused"
            assert "rule no-ptz" in told.said
            await here.upper.control(channel, "A50F01021F0000D6")
            again = [story for story in traced(here, channel).stories if story.kind == "question"]
            assert [len(story.crossings) for story in again[-2:]] == [1, 1]
            assert again[-1].above[0].call_id != again[-2].above[0].call_id

    run(scenario())


def test_a_question_that_is_taken_and_never_answered(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, _lower):
            with suppress(TimeoutError):
                await here.upper.device_info(target=CAMERAS[0])
            told = traced(here, CAMERAS[0])
            assert told.sentence.key == "trace.no_business_answer"
            assert f"{HAND_LOWER[0]}:5060 took the question DeviceInfo with 200" in told.said

    run(scenario())


def test_a_peer_is_told_of_by_its_registration(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            told = traced(here, LOWER_ID)
            assert (told.answer.about, told.sentence.key) == ("peer", "trace.registered")
            told.shows("REGISTER", "401 Unauthorized", "REGISTER", "200 OK (REGISTER)", "MESSAGE Catalog")
            assert {one.fact.side for one in told.story.below} == {"outer"}
            assert traced(here, UPPER_ID).sentence.key == "trace.registered"

    run(scenario())


def test_a_wrong_password_is_seen(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, lower_password="wrong") as here:
            await asyncio.sleep(3.0)
            told = traced(here, LOWER_ID)
            assert told.sentence.key in {"trace.register_refused", "trace.register_challenged"}

    run(scenario())


def test_what_nobody_knows_is_not_made_up(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await plays(here, here.shared()[0], 0.5)
            for what in ("34020000001320000001", "9999999", "*", "0"):
                answer = answered(here, what)
                assert (answer.about, answer.facts) == ("text", ())

    run(scenario())


def test_a_call_id_finds_its_call(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            await upper.ask(upper.invite(channel, call_id="operator-7@centre"))
            told = traced(here, "operator-7@centre")
            assert {one.call_id for one in told.story.above} == {"operator-7@centre"}
            await upper.wait("BYE", seconds=40.0)

    run(scenario())


def test_no_secret_is_kept(link: Link) -> None:
    """Neither the password nor any answer to a challenge, and yet the messages can be read."""

    async def scenario() -> None:
        async with world(link) as here:
            sent: list[bytes] = []
            here.network.taps.append(lambda _at, payload, *_: sent.append(payload))
            await here.shown()
            await asyncio.sleep(1.0)
            digests = [
                part.split(b'"')[1]
                for payload in sent
                for name in (b"response=", b"nonce=", b"cnonce=")
                for part in payload.split(name)[1:]
                if part.startswith(b'"')
            ]
            assert digests
            kept = b"".join(
                data
                for side in (here.gateway.outer, here.gateway.inner)
                for *_, data in side.seat.endpoint.stack.recall([], 0, 10_000)[1]
            )
            assert b"Digest username=" in kept
            for secret in (PASSWORD.encode(), *digests):
                assert secret not in kept

    run(scenario())


def test_following_brings_only_what_is_new(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            gathered = Gathered(channel)
            asked = desk(here)
            first = asked.trace(gathered.wanted())
            gathered.take(first)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                second = asked.trace(gathered.wanted())
                gathered.take(second)
                known = {(type(fact), fact.side, fact.number) for fact in first.facts}
                assert second.facts
                assert known.isdisjoint((type(fact), fact.side, fact.number) for fact in second.facts)
                whole = asked.trace(Trace(what=channel))
                assert len(gathered.whole().facts) == len(whole.facts)

    run(scenario())


def test_a_voice_is_told_the_other_way_round(link: Link) -> None:
    """The loudspeaker below asks, the speaker above is invited (9.12)."""

    async def scenario() -> None:
        async with world(link, cameras=2, speakers=2, written=text() + SPEAK) as here:
            await here.shown()
            speaker = here.speakers()[0]
            async with here.upper.broadcast(speaker) as speech:
                await speech.spoken(50)
                told = traced(here, speaker)
                assert told.sentence.key == "trace.playing"
                assert told.story.asking == "outer"
                told.shows("StreamOpen [speak]", "200 OK (INVITE)", "StreamOffered [speak]", "first RTP from")
                (asked,) = [story for story in told.stories if story.kind == "question"]
                assert [one.root for one in asked.above if one.command] == ["Notify", "Response"]
                assert [one.root for one in asked.below if one.command] == ["Notify", "Response"]
            with suppress(BroadcastRefused):
                async with here.upper.broadcast(speaker, manner=Manner(refuse=486)):
                    pass
            assert "above refused with 486" in traced(here, speaker).said

    run(scenario())


@given(st.binary(max_size=400), st.sampled_from(["INVITE", "SIP/2.0 200 OK", "MESSAGE", ""]))
def test_any_bytes_are_read_and_drawn(data: bytes, start: str) -> None:
    """Whatever a peer sent becomes a row, or a part of one."""
    message = Message(
        side="outer",
        at=1.0,
        number=1,
        sent=False,
        ours=(OUTER, 5060),
        peer=(LOWER, 5060),
        length=9000,
        data=start.encode() + data,
    )
    answer = Traced(
        what="x",
        about="text",
        now=2.0,
        names=(),
        shown={},
        facts=(message,),
        newest={"outer": (1, 0)},
        cut=False,
    )
    told = told_of(answer)
    assert told.said
    for line in told.lines():
        assert line.isprintable()


def test_of_two_hosts_each_tells_its_half_and_both_together_the_whole(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(refuse=486)
            await refused(here, channel)
            below, above = traced(here, channel, "outer"), traced(here, channel, "inner")
            assert below.sentence.key == "trace.refused_below"
            assert above.sentence.key == "trace.beyond"
            assert f"lockgate trace {below.story.correlation}" in above.said
            gathered = Gathered(channel)
            gathered.take(above.answer)
            gathered.take(below.answer)
            whole = told_of(gathered.whole())
            assert whole.sentence.key == "trace.refused_below"
            assert whole.lines() == traced(here, channel).lines()

    run(scenario())
