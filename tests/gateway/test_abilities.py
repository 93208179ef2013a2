"""What a peer is told when it asks what we can, or sends what we can't: Allow and Accept."""

import asyncio

from tests.clock import run
from tests.gateway.test_bad_input import STRANGER, Caller
from tests.gateway.world import INNER, LOWER, LOWER_ID, OUTER_ID, UPPER, UPPER_ID, header, text, world

KNOWN = (LOWER, 5061)  # the registered host, by another port
SAME_HOST = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nbinding = "same-host"'})


def asked(method: str, extra: str = "", body: str = "", user: str = OUTER_ID) -> str:
    return (
        f"{method} sip:{user}@4401000000 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 203.0.113.30:5061;branch=z9hG4bK{method}\r\n"
        f"From: <sip:44010600002000000001@4401060000>;tag=1\r\nTo: <sip:{user}@4401000000>\r\n"
        f"Call-ID: {method}\r\nCSeq: 1 {method}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
    )


def test_a_peer_is_told_what_we_can_and_a_stranger_to_register() -> None:
    async def scenario() -> None:
        async with world(written=SAME_HOST) as here:
            await here.shown()
            peer, stranger = Caller(here, KNOWN), Caller(here, STRANGER)
            able = await peer.send(asked("OPTIONS"))
            assert able.startswith("SIP/2.0 200 ")
            assert header(able, "Accept") == "Application/MANSCDP+xml, application/sdp"
            assert {"INVITE", "ACK", "BYE", "CANCEL", "MESSAGE", "REGISTER", "OPTIONS"} <= set(
                header(able, "Allow").split(", ")
            )
            odd = await peer.send(asked("PUBLISH"))
            assert odd.startswith("SIP/2.0 405 ")
            assert header(odd, "Allow") == header(able, "Allow")
            typed = await peer.send(asked("MESSAGE", "Content-Type: text/plain\r\n", "hello"))
            assert typed.startswith("SIP/2.0 415 ")
            assert header(typed, "Accept") == "Application/MANSCDP+xml"
            for method in ("OPTIONS", "PUBLISH", "MESSAGE"):
                refused = await stranger.send(asked(method, "", "x"))
                assert refused.startswith("SIP/2.0 403 ")
                assert header(refused, "Allow") == ""
            assert here.gateway.outer.side.router.strangers == 3
            peer.close()
            stranger.close()

    run(scenario())


def test_an_invite_for_a_shared_camera_with_another_body_than_sdp_is_415() -> None:
    async def scenario() -> None:
        async with world() as here:
            await here.shown()
            upper = Caller(here, (UPPER, 5061))
            invite = asked("INVITE", "Content-Type: text/xml\r\n", "<x/>", here.shared()[0])
            answer = await _final(upper, invite.replace("44010600002000000001", UPPER_ID))
            assert answer.startswith("SIP/2.0 415 ")
            assert header(answer, "Accept") == "application/sdp"
            upper.close()

    async def _final(upper: Caller, text: str) -> str:
        answer = await upper.send(text, (INNER, 5060))
        await asyncio.sleep(40.0)
        return answer

    run(scenario())
