"""We subscribe at a platform below, and what it tells us crosses like what we asked for (9.11, RFC 6665)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from interop.sim import xml
from interop.sim.alarms import AlarmSpec, write
from interop.sim.catalog import camera_item
from interop.sim.notifying import changed
from tests.clock import run
from tests.gateway.test_alarms import RULE
from tests.gateway.test_bad_input import Caller
from tests.gateway.world import (
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)

TABLE: Final = f'[[outer.lower]]\nid = "{LOWER_ID}"\n'
SUBSCRIBING: Final = text().replace(TABLE, TABLE + 'subscribe = ["catalog"]\n')
FRESH: Final = "44010600001320000077"
SOON: Final = 3.0


async def ready(here: World) -> None:
    await here.shown()
    await here.upper.wait_registered(INNER_ID)
    await asyncio.sleep(1.0)
    assert here.gateway.outer.side.as_upper.subscriptions == 1


def counted(here: World, name: str) -> int:
    return here.gateway.outer.side.as_upper.counts[name]


def item(here: World, number: int = 0, **other: str) -> xml.Fields:
    camera = replace(here.tree.cameras[number], **other)  # type: ignore[arg-type]
    return camera_item(camera, LOWER_ID, here.tree.branches[0].id)


def state_of(here: World, channel: str) -> str:
    row = here.gateway.inner.side.shared.find(LOWER_ID, channel) or {}
    return row.get("status", "gone")


async def told(here: World, *items: tuple[str, xml.Fields]) -> int:
    status = await here.lower.notifier.tell([changed(event, fields) for event, fields in items])
    await asyncio.sleep(SOON)
    return status


def test_what_a_lower_tells_reaches_whoever_has_subscribed_above(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=SUBSCRIBING) as here:
            await ready(here)
            await here.upper.catalog()
            watch = await here.upper.subscriptions.subscribe()
            first, second = here.tree.cameras[0], here.tree.cameras[2]
            hidden = next(n for n, one in enumerate(here.tree.cameras) if one.id in here.kept())
            queries = here.lower.answers.queries
            assert (
                await told(
                    here,
                    ("OFF", item(here, 0)),
                    ("UPDATE", item(here, 2, name="Another name")),
                    ("ADD", item(here, 0, id=FRESH, name="New")),
                    ("ADD", item(here, hidden, name="Not for everybody")),
                )
                == 200
            )
            assert sorted(watch.told) == sorted([("OFF", first.id), ("UPDATE", second.id), ("ADD", FRESH)])
            assert (watch.items[FRESH]["Name"], watch.items[second.id]["Name"]) == ("New", "Another name")
            assert (state_of(here, first.id), state_of(here, FRESH)) == ("OFF", "ON")
            watch.told.clear()
            assert await told(here, ("On", item(here, 0)), ("DEL", item(here, 0, id=FRESH))) == 200
            assert watch.told == [("ON", first.id), ("DEL", FRESH)]
            assert state_of(here, FRESH) == "gone"
            assert here.lower.answers.queries == queries, "nobody had to ask"
            records = [each for each in here.audit("outer") if each.get("kind") == "CatalogBatch"]
            assert records, "what it told was judged and recorded as what it answers"

    run(scenario())


def test_it_is_renewed_in_its_dialog_and_ended_when_we_stop() -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            wire = Wire(here.network)
            await ready(here)
            await asyncio.sleep(1000.0)
            asked = wire.between(OUTER, LOWER, "SUBSCRIBE")
            assert [expires for _, expires in here.lower.notifier.asked] == [600, 600, 600]
            assert len({header(one, "Call-ID") for one in asked}) == 1
            assert len({header(one, "Event") for one in asked}) == 1
            assert [header(one, "CSeq") for one in asked] == [f"{n} SUBSCRIBE" for n in (1, 2, 3)]
            assert all("<CmdType>Catalog</CmdType>" in one for one in asked)
            await here.life.stop()
            assert here.lower.notifier.asked[-1] == ("Catalog", 0)
            assert here.lower.notifier.subscribed() == []

    run(scenario())


def test_after_a_481_it_is_made_anew_at_once_and_the_catalog_asked_for() -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            queries = here.lower.answers.queries
            here.lower.notifier.forget()
            await asyncio.sleep(410.0)
            assert len(here.lower.notifier.subscribed()) == 1
            assert here.gateway.outer.side.as_upper.subscriptions == 1
            assert here.lower.answers.queries == queries + 1

    run(scenario())


@pytest.mark.parametrize(("reason", "wait"), [("deactivated", 1.0), ("probation", 100.0), ("rejected", None)])
def test_it_comes_again_when_its_end_allows(reason: str, wait: float | None) -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            await here.lower.notifier.end(reason, 90 if reason == "probation" else None)
            await asyncio.sleep(0.5)
            assert len(here.lower.notifier.subscribed()) == (reason == "deactivated")
            await asyncio.sleep(3600.0 if wait is None else wait)
            assert len(here.lower.notifier.subscribed()) == (wait is not None)

    run(scenario())


@pytest.mark.parametrize("status", [405, 403])
def test_who_refuses_is_asked_more_and_more_seldom_or_not_at_all(status: int) -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            here.lower.notifier.refuse = status
            await here.shown()
            await asyncio.sleep(5000.0)
            assert len(here.lower.notifier.asked) == (1 if status == 405 else 7)
            assert here.gateway.outer.side.as_upper.subscriptions == 0

    run(scenario())


def test_who_takes_it_and_ends_it_at_once_or_grants_a_second_is_not_asked_all_the_time() -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            for _ in range(200):
                await here.lower.notifier.end("deactivated")
                await asyncio.sleep(1.0)
            assert len(here.lower.notifier.asked) <= 5
            asked = len(here.lower.notifier.asked)
            here.lower.notifier.grant = 1
            await asyncio.sleep(600.0)
            assert len(here.lower.notifier.asked) - asked <= 31

    run(scenario())


def test_a_peer_that_comes_back_or_after_our_restart_is_subscribed_at_anew() -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            here.network.cut(LOWER)
            await asyncio.sleep(400.0)
            assert here.gateway.outer.side.as_upper.subscriptions == 0
            here.network.mend(LOWER)
            await asyncio.sleep(200.0)
            assert here.gateway.outer.side.as_upper.subscriptions == 1
            await here.kill()
            await asyncio.sleep(5.0)
            assert here.gateway.outer.side.as_upper.subscriptions == 1
            assert await told(here, ("OFF", item(here))) == 200
            assert state_of(here, here.tree.cameras[0].id) == "OFF"

    run(scenario())


def test_an_off_of_what_is_not_known_is_asked_for_once_a_minute() -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            queries = here.lower.answers.queries
            for _ in range(20):
                await told(here, ("OFF", item(here, 0, id=FRESH)))
            assert here.lower.answers.queries == queries + 1
            assert state_of(here, FRESH) == "gone"

    run(scenario())


def test_a_platform_whose_states_are_not_believed_changes_rows_alone() -> None:
    async def scenario() -> None:
        ignoring = SUBSCRIBING.replace(TABLE, TABLE + 'notify_state = "ignore"\n')
        async with world(written=ignoring) as here:
            await ready(here)
            await told(here, ("OFF", item(here)), ("DEL", item(here, 2)))
            assert state_of(here, here.tree.cameras[0].id) == "ON"
            assert state_of(here, here.tree.cameras[2].id) == "gone"

    run(scenario())


def notify(
    here: World, dialog: Sequence[str], *, cseq: int = 50, what: str = "DEL", user: str = LOWER_ID
) -> str:
    call_id, ours, theirs = dialog
    body = (
        '<?xml version="1.0"?>\r\n<Notify><CmdType>Catalog</CmdType><SN>1</SN>'
        f'<DeviceID>{LOWER_ID}</DeviceID><SumNum>1</SumNum><DeviceList Num="1"><Item>'
        f"<DeviceID>{here.tree.cameras[0].id}</DeviceID><Event>DEL</Event></Item></DeviceList></Notify>"
    )
    return (
        f"NOTIFY sip:{OUTER_ID}@{OUTER}:5060 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {LOWER}:5060;branch=z9hG4bKforged{cseq}{theirs}{ours}\r\n"
        f"From: <sip:{LOWER_ID}@4401060000>;tag={theirs}\r\nTo: <sip:{OUTER_ID}@4401000000>;tag={ours}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} NOTIFY\r\nMax-Forwards: 70\r\nEvent: Catalog\r\n"
        f"Subscription-State: active;expires=600\r\nContent-Type: Application/MANSCDP+xml\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


def test_a_forged_notice_changes_nothing() -> None:
    """Outside the dialog, with wrong tags, with a CSeq that runs backwards, from elsewhere, of nobody's."""

    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            camera = here.tree.cameras[0].id
            (one,) = here.lower.notifier.subscribed()
            dialog = one.dialog
            await told(here, ("OFF", item(here, 2)))  # so that a CSeq has been seen
            wire = Wire(here.network)
            genuine = (dialog.call_id, dialog.remote_tag, dialog.local_tag)
            queries = here.lower.answers.queries
            forged = [
                notify(here, ("elsewhere@x", "a", "b")),
                notify(here, (genuine[0], genuine[1], "wrong")),
                notify(here, (genuine[0], "wrong", genuine[2])),
                notify(here, genuine, cseq=0),
            ]
            for message in forged:
                here.network.carry(message.encode(), (LOWER, 5060), (OUTER, 5060))
                await asyncio.sleep(1.0)
            answers = [one.split()[1] for one in wire.between(OUTER, LOWER, "SIP/2.0") if "NOTIFY" in one]
            assert answers == ["200", "200", "200", "500"]
            assert state_of(here, camera) == "ON"
            assert here.lower.answers.queries == queries + 1, "what nobody can trust is asked for"
            assert (counted(here, "notices_outside"), counted(here, "notices_disordered")) == (3, 1)
            stranger = Caller(here, ("203.0.113.99", 5060))
            assert (await stranger.send(notify(here, genuine))).startswith("SIP/2.0 403")
            stranger.close()
            assert state_of(here, camera) == "ON"

    run(scenario())


def test_a_notice_where_nobody_subscribed_is_481() -> None:
    async def scenario() -> None:
        async with world() as here:
            await here.shown()
            wire = Wire(here.network)
            here.network.carry(notify(here, ("x@y", "a", "b")).encode(), (LOWER, 5060), (OUTER, 5060))
            await asyncio.sleep(1.0)
            (answer,) = [one for one in wire.between(OUTER, LOWER, "SIP/2.0") if "NOTIFY" in one]
            assert answer.startswith("SIP/2.0 481")
            assert state_of(here, here.tree.cameras[0].id) == "ON"

    run(scenario())


def test_bodies_that_nobody_asked_for_or_can_read_are_answered_and_dropped() -> None:
    async def scenario() -> None:
        async with world(written=SUBSCRIBING) as here:
            await ready(here)
            notifier = here.lower.notifier
            body = xml.write("Notify", "MobilePosition", 1, LOWER_ID, charset="GB2312")
            assert await notifier.send(body) == 200
            assert await notifier.send(b"<Notify><CmdType>Catalog</CmdType><SN>1</SN>") == 200
            assert await notifier.send(b"not at all") == 200
            whole = xml.write("Notify", "Catalog", 1, LOWER_ID, "<x>" * 40, charset="GB2312")
            assert await notifier.send(whole) == 200
            await asyncio.sleep(SOON)
            assert counted(here, "notices_unasked") == 1
            assert set(here.playable()) == set(here.shared())

    run(scenario())


def test_an_alarm_in_the_dialog_of_a_subscription_crosses_as_one_in_a_message(link: Link) -> None:
    async def scenario() -> None:
        written = text().replace(TABLE, TABLE + 'subscribe = ["alarm"]\n')
        async with world(link, written=written.replace("[[rule]]", RULE + "[[rule]]", 1)) as here:
            await ready(here)
            spec = AlarmSpec(device=here.tree.cameras[0].id, description="door")
            body = write(spec, 9, "2026-03-01T08:00:00", "GB2312")
            assert await here.lower.notifier.send(body, "Alarm") == 200
            assert await here.lower.notifier.send(body, "Alarm") == 200
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == ["door"], "and the same one is told once"
            (asked,) = here.lower.notifier.asked
            assert asked == ("Alarm", 600)
            page = [changed("DEL", item(here))]
            unasked = xml.elements([("SumNum", "1")]) + xml.device_list(page)
            body = xml.write("Notify", "Catalog", 1, LOWER_ID, unasked, charset="GB2312")
            assert await here.lower.notifier.send(body, "Alarm") == 200
            await asyncio.sleep(SOON)
            assert state_of(here, here.tree.cameras[0].id) == "ON"

    run(scenario())
