"""Control from above: the near door says no at once and writes it down, or it arrives once, as meant."""

import asyncio
from typing import Any, Final

from cascade.manscdp import CONTENT_TYPE
from interop.sim.upper import PTZ_LEFT, PTZ_STOP
from sip.aio.ask import ask
from sip.endpoint import Party
from tests.clock import run
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    UPPER,
    UPPER_ID,
    Link,
    Wire,
    World,
    text,
    world,
)

ALLOWED: Final = (
    text()
    .replace('id = "no-ptz"', 'id = "ptz"')
    .replace(
        'action = "control.ptz"\nchannels = ["*"]\nverdict = "deny"',
        'action = "control.ptz"\nchannels = ["*"]\nverdict = "allow"',
    )
)
"""The demo's configuration, but the upper platform may turn cameras."""


def of_ptz(here: World) -> list[list[dict[str, Any]]]:
    """Audit records about PTZ at the inner and the outer door."""
    return [
        [record for record in here.audit(side) if record.get("action") == "control.ptz"]
        for side in ("inner", "outer")
    ]


def body(channel: str, operation: str, sn: str = "7") -> bytes:
    return (
        f'<?xml version="1.0" encoding="GB2312"?>\r\n<Control>\r\n<CmdType>DeviceControl</CmdType>\r\n'
        f"<SN>{sn}</SN>\r\n<DeviceID>{channel}</DeviceID>\r\n{operation}\r\n</Control>\r\n"
    ).encode()


async def tell(here: World, payload: bytes) -> int:
    """A MESSAGE of the upper platform with any bytes as its body; the status of the answer."""
    endpoint = here.upper_calls.endpoint
    us = Party(INNER_ID, INNER_ID[:10])
    message = endpoint.request("MESSAGE", us, (INNER, 5060), body=payload, content_type=CONTENT_TYPE)
    return (await ask(endpoint, message)).status


def test_ptz_that_a_rule_forbids_is_403_at_once_and_written_down(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            assert await here.upper.control(here.shared()[0], PTZ_LEFT) == 403
            await asyncio.sleep(2.0)
            assert here.lower.controls == ()
            assert wire.between(OUTER, LOWER, "MESSAGE") == []
            near, far = of_ptz(here)
            assert far == []
            (record,) = near
            assert (record["verdict"], record["rule"], record["door"]) == ("refused", "no-ptz", "send")
            assert record["origin"] == UPPER_ID
            (subject,) = record["subjects"]
            assert here.shared()[0] in subject
            assert here.gateway.inner.counters.refused == {"no-ptz": 1}
            assert here.trails_whole()

    run(scenario())


def test_ptz_without_any_rule_is_refused_by_default(link: Link) -> None:
    written = ALLOWED.replace('action = "control.ptz"', 'action = "query.device-info"')

    async def scenario() -> None:
        async with world(link, written=written) as here:
            await here.shown()
            assert await here.upper.control(here.shared()[0], PTZ_LEFT) == 403
            assert here.gateway.inner.counters.refused == {"default": 1}

    run(scenario())


def test_ptz_that_a_rule_allows_arrives_once_with_the_same_movement(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=ALLOWED) as here:
            await here.shown()
            channel = here.shared()[0]
            wire = Wire(here.network)
            for ptz in (PTZ_LEFT, PTZ_STOP):
                assert await here.upper.control(channel, ptz) == 200
                await asyncio.sleep(1.0)
            assert here.lower.controls == ((channel, PTZ_LEFT), (channel, PTZ_STOP))
            (above, _), (below, _) = (
                wire.between(sender, receiver, "MESSAGE")
                for sender, receiver in ((UPPER, INNER), (OUTER, LOWER))
            )
            assert "ControlPriority" in above  # said above, and no part of the meaning
            assert "ControlPriority" not in below
            assert (
                above.partition("<SN>")[2].partition("<")[0] != below.partition("<SN>")[2].partition("<")[0]
            )
            near, far = of_ptz(here)
            assert [record["verdict"] for record in near + far] == ["passed"] * 4
            assert near[0]["details"]["movement"]["pan"] == "left"
            assert here.gateway.inner.side.as_lower.counters()["controls"] == 2
            assert here.gateway.outer.side.as_upper.counters()["questions_controls_taken"] == 2
            assert here.trails_whole()

    run(scenario())


def test_a_control_repeated_by_the_network_moves_once(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=ALLOWED) as here:
            await here.shown()
            lost = 0

            def lose_two_answers(payload: bytes, source: tuple[str, int], _to: tuple[str, int]) -> bool:
                nonlocal lost
                if source[0] != INNER or not payload.startswith(b"SIP/2.0 200") or lost == 2:
                    return False
                lost += 1
                return True

            wire = Wire(here.network)
            here.network.drop = lose_two_answers
            assert await here.upper.control(here.shared()[0], PTZ_LEFT) == 200
            await asyncio.sleep(40.0)
            assert (lost, len(wire.between(UPPER, INNER, "MESSAGE"))) == (2, 3)
            assert here.lower.controls == ((here.shared()[0], PTZ_LEFT),)
            assert [len(records) for records in of_ptz(here)] == [1, 1]

    run(scenario())


def test_what_is_wrong_behind_the_head_is_counted_and_never_crosses(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=ALLOWED) as here:
            await here.shown()
            channel, other = here.shared()[:2]
            good = f"<PTZCmd>{PTZ_LEFT}</PTZCmd>"
            broken = [
                "<PTZCmd>A50F0102400000F8</PTZCmd>",
                "<PTZCmd>A50F01820005003C</PTZCmd>",
                "<PTZCmd>left</PTZCmd>",
                "<PTZCmd/>",
                f"<PTZCmd>{PTZ_LEFT}</PTZCmd",
            ]
            for operation in broken:
                assert await tell(here, body(channel, operation)) == 200
            assert await tell(here, body(other, good).replace(b"<SN>", b"<Name/><SN>")) == 200
            await asyncio.sleep(1.0)
            counters = here.gateway.inner.side.as_lower.counters()
            assert (counters["controls_unreadable"], counters["controls"]) == (len(broken), 1)
            assert here.lower.controls == ((other, PTZ_LEFT),)
            assert [len(records) for records in of_ptz(here)] == [1, 1]

    run(scenario())


def test_broken_ptz_that_a_rule_forbids_is_403_by_its_head(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            assert await tell(here, body(here.shared()[0], "<PTZCmd>left</PTZCmd>")) == 403
            assert here.gateway.inner.side.as_lower.counters()["controls_unreadable"] == 0

    run(scenario())


def test_unknown_and_kept_channels_are_404_other_operations_403(link: Link) -> None:
    everything = ALLOWED.replace('action = "control.ptz"', 'action = "*"')

    async def scenario() -> None:
        async with world(link, written=everything) as here:
            await here.shown()
            assert await here.upper.control(here.kept()[0], PTZ_LEFT) == 404
            assert await here.upper.control("44010600001329999999", PTZ_LEFT) == 404
            for operation in ("<TeleBoot>Boot</TeleBoot>", "<IFameCmd>Send</IFameCmd>", "<Wipe>1</Wipe>", ""):
                assert await tell(here, body(here.shared()[0], operation)) == 403
            notes = [record for record in here.audit("inner") if record.get("event") == "command-unknown"]
            assert [note["details"]["command"].rpartition("/")[2] for note in notes][:3] == [
                "TeleBoot",
                "IFameCmd",
                "Wipe",
            ]
            await asyncio.sleep(1.0)
            assert here.lower.controls == ()
            assert of_ptz(here) == [[], []]

    run(scenario())


def test_nobody_turns_the_gateway_itself_a_platform_or_a_group(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=ALLOWED) as here:
            await here.shown()
            group, roads, _schools = here.tree.branches
            for name in (INNER_ID, LOWER_ID, group.id, roads.id):
                assert await here.upper.control(name, PTZ_LEFT) == 403
            await asyncio.sleep(1.0)
            assert here.lower.controls == ()

    run(scenario())


def test_ptz_for_a_peer_that_is_offline_is_dropped_and_counted(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=ALLOWED) as here:
            await here.shown()
            here.network.cut(LOWER)
            await asyncio.sleep(400.0)
            wire = Wire(here.network)
            assert await here.upper.control(here.shared()[0], PTZ_LEFT) == 200
            await asyncio.sleep(40.0)
            assert wire.between(OUTER, LOWER, "MESSAGE") == []
            assert here.gateway.outer.side.as_upper.counters()["controls_dropped"] == 1
            here.network.mend(LOWER)

    run(scenario())


def test_a_rule_may_allow_some_cameras_only(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            first, second = here.shared()[:2]
        one = ALLOWED.replace(
            'action = "control.ptz"\nchannels = ["*"]', f'action = "control.ptz"\nchannels = ["id:{first}"]'
        )
        async with world(link, written=one) as here:
            await here.shown()
            assert await here.upper.control(first, PTZ_LEFT) == 200
            assert await here.upper.control(second, PTZ_LEFT) == 403
            await asyncio.sleep(1.0)
            assert here.lower.controls == ((first, PTZ_LEFT),)
            assert LOWER_ID in here.tree.owner

    run(scenario())
