"""Uppers that keep no rule of a dialog: no ACK, wrong tags, late CANCEL, the same INVITE again."""

import asyncio
from functools import partial

import pytest

from interop.sim.sending import Behaviour
from tests.clock import run
from tests.gateway.bodies import HAND_UPPER, offer
from tests.gateway.by_hand import HandUpper, Heard, above
from tests.gateway.packets import Watcher
from tests.gateway.world import LOWER, OUTER, UPPER_ID, Link, Wire, World


async def served(here: World, upper: HandUpper, invite: bytes) -> Heard:
    accepted = await upper.ask(invite)
    assert accepted.start == "SIP/2.0 200 OK"
    return accepted


def test_without_an_ack_it_ends_after_32_seconds_and_nothing_was_sent(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            watcher = Watcher(here)
            accepted = await served(here, upper, upper.invite(here.shared()[0]))
            bye = await upper.wait("BYE", seconds=40.0)
            assert 31.9 < bye.at - accepted.at < 33.0
            assert upper.count("SIP/2.0 200") > 5  # repeated until then
            assert watcher.packets == []
            await asyncio.sleep(5.0)
            assert here.gateway.orphans == 0
            watcher.close()

    run(scenario())


def test_a_bye_with_wrong_tags_ends_nothing(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            watcher = Watcher(here)
            invite = upper.invite(here.shared()[0])
            accepted = await served(here, upper, invite)
            upper.send(upper.within(invite, accepted, "ACK", cseq=1))
            call_id = accepted.header("Call-ID")
            ours, theirs = (accepted.header(name).partition("tag=")[2] for name in ("To", "From"))
            for from_tag, to_tag in ((theirs, "wrong"), ("wrong", ours), (ours, theirs), (theirs, "")):
                bye = upper.request(
                    "BYE", UPPER_ID, me=UPPER_ID, call_id=call_id, cseq=2, from_tag=from_tag, to_tag=to_tag
                )
                assert (await upper.ask(bye)).start.startswith("SIP/2.0 481 ")
            before = len(watcher.packets)
            await asyncio.sleep(2.0)
            assert len(watcher.packets) > before + 40
            old = upper.within(invite, accepted, "BYE", cseq=0)
            assert (await upper.ask(old)).start.startswith("SIP/2.0 500 ")  # older than the INVITE
            assert (await upper.ask(upper.within(invite, accepted, "BYE", cseq=2))).start == "SIP/2.0 200 OK"
            assert (await upper.ask(upper.within(invite, accepted, "BYE", cseq=3))).start.startswith(
                "SIP/2.0 481 "
            )
            watcher.close()

    run(scenario())


@pytest.mark.parametrize("after", [0.0, 0.004, 0.5])
def test_a_cancel_that_crosses_the_200_ends_one_way_only(link: Link, after: float) -> None:
    """Before our answer: 487 and nothing below goes on. After it: 481, and the dialog stands (Q63)."""

    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            wire = Wire(here.network)
            invite = upper.invite(channel, branch=f"z9hG4bKcross{after}", call_id="cross")
            cancel = invite.replace(b"INVITE sip:", b"CANCEL sip:").replace(b"1 INVITE", b"1 CANCEL")
            cancel = cancel.partition(b"Contact:")[0] + b"Content-Length: 0\r\n\r\n"
            upper.send(invite)
            await asyncio.sleep(after)
            upper.send(cancel)
            final = await upper.wait(
                "SIP/2.0", lambda heard: "INVITE" in heard.header("CSeq") and heard.start[8] != "1"
            )
            told = await upper.wait("SIP/2.0", lambda heard: "CANCEL" in heard.header("CSeq"))
            if final.start.startswith("SIP/2.0 487"):
                assert told.start == "SIP/2.0 200 OK"
                upper.send(upper.within(invite, final, "ACK", cseq=1))
            else:
                assert final.start == "SIP/2.0 200 OK"
                assert told.start.split()[1] in {"200", "481"}
                upper.send(upper.within(invite, final, "ACK", cseq=1))
                assert (await upper.ask(upper.within(invite, final, "BYE", cseq=2))).start == "SIP/2.0 200 OK"
            await asyncio.sleep(8.0)
            assert here.gateway.orphans == 0
            invites = len(wire.between(OUTER, LOWER, "INVITE"))
            byes = len(wire.between(OUTER, LOWER, "BYE"))
            assert invites - byes in {0, 1}

    run(scenario())


@pytest.mark.parametrize("method", ["CANCEL", "BYE"])
def test_q63_an_upper_that_stops_before_we_answered_ends_the_leg_below(link: Link, method: str) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=3.0)
            invite = upper.invite(channel, branch="z9hG4bKearly", call_id="early")
            upper.send(invite)
            await asyncio.sleep(1.0)
            if method == "CANCEL":
                stop = invite.replace(b"INVITE sip:", b"CANCEL sip:").replace(b"1 INVITE", b"1 CANCEL")
                stop = stop.partition(b"Contact:")[0] + b"Content-Length: 0\r\n\r\n"
            else:
                stop = upper.request("BYE", channel, me=UPPER_ID, call_id="early", cseq=2)
            upper.send(stop)
            final = await upper.wait(
                "SIP/2.0", lambda heard: "INVITE" in heard.header("CSeq") and heard.start[8] != "1"
            )
            assert final.start.startswith("SIP/2.0 487 ")
            upper.send(upper.within(invite, final, "ACK", cseq=1))
            await asyncio.sleep(8.0)
            assert here.gateway.orphans == 0
            assert here.lower_calls.active == 0

    run(scenario())


def test_an_invite_that_is_repeated_is_one_invite(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            invite = upper.invite(here.shared()[0], branch="z9hG4bKagain", call_id="again")
            for _ in range(5):
                upper.send(invite)
            accepted = await upper.ask(invite)
            assert accepted.start == "SIP/2.0 200 OK"
            assert here.gateway.inner.side.tables().viewings == 1
            # the same INVITE by another way: a loop or a fork (RFC 3261 8.2.2.2)
            merged = upper.invite(here.shared()[0], branch="z9hG4bKother", call_id="again")
            upper.send(merged)
            refused = await upper.wait("SIP/2.0 482")
            assert refused.header("Call-ID") == "again"
            upper.send(upper.within(invite, accepted, "ACK", cseq=1))
            assert (await upper.ask(upper.within(invite, accepted, "BYE", cseq=2))).start == "SIP/2.0 200 OK"
            assert len(here.lower.records()) == 1

    run(scenario())


def is_from(tag: str, heard: Heard) -> bool:
    return heard.header("From").endswith(f";tag={tag}")


def test_a_call_id_that_is_used_again_makes_a_dialog_of_its_own(link: Link) -> None:
    """Call-ID reused by a careless stack: the tags tell the two apart."""

    async def scenario() -> None:
        async with above(link) as (here, upper):
            watcher = Watcher(here)
            for number in range(3):
                invite = upper.invite(here.shared()[0], call_id="reused", from_tag=f"t{number}")
                upper.send(invite)
                accepted = await upper.wait("SIP/2.0 200", partial(is_from, f"t{number}"))
                upper.send(upper.within(invite, accepted, "ACK", cseq=1))
                await asyncio.sleep(1.0)
                upper.send(upper.within(invite, accepted, "BYE", cseq=2))
                await upper.wait("SIP/2.0 200", lambda heard: "BYE" in heard.header("CSeq"))
            assert len(watcher.packets) > 60
            assert here.gateway.inner.side.tables().viewings == 0
            watcher.close()

    run(scenario())


def test_an_ack_that_comes_twice_and_late_starts_it_once(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            watcher = Watcher(here)
            invite = upper.invite(here.shared()[0])
            accepted = await served(here, upper, invite)
            await asyncio.sleep(10.0)
            for _ in range(3):
                upper.send(upper.within(invite, accepted, "ACK", cseq=1))
            await asyncio.sleep(2.0)
            numbers = [int.from_bytes(data[2:4], "big") for _, data, _ in watcher.packets]
            assert len(numbers) == len(set(numbers)) > 40
            assert (await upper.ask(upper.within(invite, accepted, "BYE", cseq=2))).start == "SIP/2.0 200 OK"
            watcher.close()

    run(scenario())


SUBJECTS = {
    "of the standard": f"{{channel}}:0100000001,{UPPER_ID}:0",
    "channel only there": f"{{channel}}:0100000001,{UPPER_ID}:0",
    "without the receiver": "{channel}:0100000001",
    "with blanks": " {channel} : 0100000001 , x : 0 ",
    "empty": "",
    "nonsense": ",:,,::",
    "very long": "x" * 3000,
    "of somebody else": "44010600001329999999:1,x:0",
}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("uri", ["channel", "platform"])
def test_q59_the_channel_is_found_where_it_stands(link: Link, name: str, uri: str) -> None:
    """Request-URI, Subject, u= of the SDP, To: the first that is a channel we share."""

    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            ours = here.gateway.inner.side.as_lower.us.id.digits
            invite = upper.invite(
                channel if uri == "channel" else ours,
                offer(f"u={channel}:0", f"c=IN IP4 {HAND_UPPER[0]}", "t=0 0", "m=video 20000 RTP/AVP 96")
                if name == "nonsense"
                else None,
                subject=SUBJECTS[name].format(channel=channel),
                to=channel if name == "empty" else "",
            )
            final = await upper.ask(invite)
            upper.send(upper.within(invite, final, "ACK", cseq=1))
            if uri == "platform" and name in {"very long", "of somebody else"}:
                assert final.start.startswith("SIP/2.0 404 ")
                return
            assert final.start == "SIP/2.0 200 OK"
            assert channel in final.line("o")
            assert (await upper.ask(upper.within(invite, final, "BYE", cseq=2))).start == "SIP/2.0 200 OK"

    run(scenario())
