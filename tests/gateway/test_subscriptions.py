"""An upper platform subscribes to our catalog and is told what changes, over every kind of link (9.11)."""

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from interop.sim.alarms import AlarmSpec
from interop.sim.catalog import Tree
from interop.sim.subscribing import SubscribeRefused, Watch
from tests.clock import run
from tests.gateway.test_alarms import RULE
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    UPPER,
    UPPER_ID,
    Link,
    Wire,
    World,
    text,
    world,
)

FRESH: Final = "44010600001320000077"
UPPER_TABLE: Final = f'[[inner.upper]]\nid = "{UPPER_ID}"\n'
OFTEN: Final = text().replace(
    f'[[outer.lower]]\nid = "{LOWER_ID}"\n', f'[[outer.lower]]\nid = "{LOWER_ID}"\ncatalog_seconds = 60\n'
)
WINDOW: Final = 1.5


async def ready(here: World) -> None:
    await here.shown()
    await here.upper.wait_registered(INNER_ID)


async def watched(
    here: World, kind: str = "Catalog", *, target: str | None = None, expires: int = 600
) -> Watch:
    """A subscription whose first notice has come."""
    watch = await here.upper.subscriptions.subscribe(kind, target=target, expires=expires)
    await watch.until(1)
    await asyncio.sleep(0.1)  # our 200 has arrived too
    return watch


async def refused(here: World, kind: str = "Catalog", **terms: object) -> SubscribeRefused:
    with pytest.raises(SubscribeRefused) as caught:
        await here.upper.subscriptions.subscribe(kind, **terms)  # type: ignore[arg-type]
    return caught.value


def counted(here: World) -> dict[str, int]:
    counts = here.gateway.inner.side.as_lower.counts
    return {name: number for name, number in counts.items() if name.startswith("subscriptions")}


def show(here: World, tree: Tree) -> None:
    """From its next query on the lower platform lists this."""
    here.lower.answers.tell({LOWER_ID: tree})


def test_a_subscriber_is_told_the_state_and_then_what_goes_and_comes_back(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await ready(here)
            wire = Wire(here.network)
            watch = await watched(here)
            assert (watch.granted, watch.told) == (600, []), "all is well, so the first notice tells nothing"
            (answer,) = [one for one in wire.between(INNER, UPPER, "SIP/2.0 200") if "SUBSCRIBE" in one]
            assert "<Result>OK</Result>" in answer
            assert f"\r\nEvent: {watch.event}\r\n" in answer
            here.network.cut(LOWER)
            await asyncio.sleep(400.0)
            everything = {*here.shared(), *here.speakers(), LOWER_ID}
            assert dict.fromkeys(watch.told) == {("OFF", name): None for name in sorted(everything)}
            late = await watched(here)
            assert {name for _, name in late.told} == everything, "whoever subscribes now is told at once"
            here.network.mend(LOWER)
            await asyncio.sleep(400.0)
            assert set(late.told) == {(event, name) for event in ("ON", "OFF") for name in everything}
            notice = wire.between(INNER, UPPER, "NOTIFY")[-1]
            assert f"\r\nEvent: {late.event}\r\n" in notice
            assert "\r\nSubscription-State: active;expires=" in notice
            assert f"<DeviceID>{INNER_ID}</DeviceID>" in notice
            notes = [each["event"] for each in here.audit("inner") if each["kind"] == "Note"]
            assert "subscribed" in notes

    run(scenario())


def test_rows_that_come_change_and_go_are_told_whole_or_by_their_id(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=OFTEN) as here:
            await ready(here)
            await here.upper.catalog()
            watch = await watched(here)
            first, second, *_ = [one for one in here.tree.cameras if one.id in here.shared()]
            hidden = next(one for one in here.tree.cameras if one.id in here.kept())
            others = [one for one in here.tree.cameras if one not in (first, second, hidden)]
            fresh = replace(first, id=FRESH, name="A new gate")
            renamed = replace(second, name="Another name")
            unseen = replace(hidden, name="Not for everybody")
            show(here, replace(here.tree, cameras=(*others, fresh, renamed, unseen)))
            await asyncio.sleep(70.0)
            assert watch.told == [("UPDATE", second.id), ("ADD", FRESH), ("DEL", first.id)]
            item = watch.items[FRESH]
            assert (item["Name"], item["Status"], item["ParentID"]) == (
                "A new gate",
                "ON",
                f"{LOWER_ID}/{first.parent}",
            )
            assert watch.items[first.id] == {"DeviceID": first.id, "Event": "DEL"}
            assert set(watch.items) <= set((await here.upper.catalog()).ids()) | {first.id}

    run(scenario())


def test_a_part_of_the_catalog_is_told_of_alone() -> None:
    async def scenario() -> None:
        async with world(written=OFTEN) as here:
            await ready(here)
            camera = here.tree.cameras[0]
            branch = next(one for one in here.tree.branches if one.id == camera.parent)
            watch = await watched(here, target=camera.id)
            assert (await refused(here, target=here.kept()[0])).status == 404
            assert (await refused(here, target="44010600001320999999")).status == 404
            others = here.tree.cameras[1:]
            show(here, replace(here.tree, cameras=(replace(camera, name="x"), *others)))
            await asyncio.sleep(70.0)
            show(here, replace(here.tree, cameras=(replace(camera, name="x"), *others[1:])))
            await asyncio.sleep(70.0)
            assert watch.told == [("UPDATE", camera.id)]
            assert branch.id not in watch.items

    run(scenario())


def test_it_is_refreshed_ended_and_forgotten() -> None:
    async def scenario() -> None:
        async with world() as here:
            await ready(here)
            subscriptions = here.upper.subscriptions
            watch = await watched(here, expires=60)
            await asyncio.sleep(40.0)
            assert (await subscriptions.refresh(watch, 90), watch.granted) == (200, 90)
            await watch.until(2)
            await asyncio.sleep(40.0)
            assert watch.ended == ""
            assert await subscriptions.refresh(watch, 0) == 200
            await watch.until(3)
            assert watch.ended == "terminated;reason=timeout"
            assert await subscriptions.refresh(watch, 60) == 481
            lapsing = await watched(here, expires=30)
            await asyncio.sleep(35.0)
            assert lapsing.ended == "terminated;reason=timeout"
            assert await subscriptions.refresh(lapsing, 60) == 481
            fetched = await subscriptions.subscribe(expires=0)
            await fetched.until(1)
            await asyncio.sleep(0.1)
            assert fetched.ended == "terminated;reason=timeout"
            assert here.gateway.inner.side.as_lower.subscriptions == 0

    run(scenario())


def test_what_nobody_here_tells_of_is_489_and_what_is_too_brief_423() -> None:
    async def scenario() -> None:
        async with world(
            written=text().replace(UPPER_TABLE, UPPER_TABLE + "max_subscriptions = 2\n")
        ) as here:
            await ready(here)
            for kind, event in (("Catalog", "dialog"), ("MobilePosition", "presence"), ("Catalog", "a b")):
                answer = await refused(here, kind, event=event)
                assert (answer.status, answer.headers["Allow-Events"]) == (489, "Catalog, presence")
            assert (await refused(here, event="presence", empty=True)).status == 489
            brief = await refused(here, expires=5)
            assert (brief.status, brief.headers["Min-Expires"]) == (423, "30")
            assert (await here.upper.subscriptions.subscribe(expires=None)).granted == 3600
            assert (await here.upper.subscriptions.subscribe(event="presence;id=7")).granted == 600
            assert (await here.upper.subscriptions.subscribe(event="CATALOG", empty=True)).granted == 600
            camera = here.shared()[0]
            assert (await here.upper.subscriptions.subscribe(target=camera)).granted == 600
            full = await refused(here, target=here.shared()[1])
            assert (full.status, full.headers["Retry-After"]) == (503, "60")
            assert here.gateway.inner.side.as_lower.subscriptions == 2
            assert counted(here) == {
                "subscriptions": 2,
                "subscriptions_replaced": 2,
                "subscriptions_events_unknown": 2,
                "subscriptions_topics_unknown": 2,
                "subscriptions_too_brief": 1,
                "subscriptions_full": 1,
            }

    run(scenario())


@pytest.mark.parametrize("status", [481, 404, 489, 500])
def test_a_notice_that_is_refused_ends_the_subscription(status: int) -> None:
    async def scenario() -> None:
        async with world() as here:
            await ready(here)
            watch = await watched(here)
            watch.answer = status
            here.network.cut(LOWER)
            await asyncio.sleep(400.0)
            here.network.mend(LOWER)
            watch.answer = 200
            await asyncio.sleep(400.0)
            assert (watch.notices, watch.ended) == (1, "")
            assert here.gateway.inner.side.as_lower.subscriptions == 0
            assert counted(here)["subscriptions_lost"] == 1

    run(scenario())


def test_an_upper_that_is_away_is_told_once_it_is_back_or_lost() -> None:
    async def scenario() -> None:
        async with world() as here:
            await ready(here)
            watch = await watched(here, expires=86_400)
            here.network.cut(UPPER)
            await asyncio.sleep(300.0)  # it is found to be away, and only then anything happens
            here.network.cut(LOWER)
            await asyncio.sleep(400.0)
            assert watch.told == []
            here.network.mend(UPPER)
            await asyncio.sleep(700.0)
            assert {name for event, name in watch.told if event == "OFF"} >= set(here.shared())
            here.network.cut(UPPER)
            here.network.mend(LOWER)
            await asyncio.sleep(100.0)  # the lower is back before the upper is found to be away
            assert here.gateway.inner.side.as_lower.subscriptions == 0, "nobody answered its notice"

    run(scenario())


def test_what_goes_to_and_fro_within_the_window_is_not_told() -> None:
    async def scenario() -> None:
        async with world() as here:
            await ready(here)
            watch = await watched(here)
            side = here.gateway.inner.side
            for online in (False, True, False, True):
                side.as_lower.linked(online)
                await asyncio.sleep(0.1)
            await asyncio.sleep(WINDOW)
            assert watch.notices == 1
            side.as_lower.linked(False)
            await asyncio.sleep(WINDOW)
            assert {event for event, _ in watch.told} == {"OFF"}

    run(scenario())


def test_after_our_restart_a_refresh_is_481_and_a_new_subscription_tells_all() -> None:
    async def scenario() -> None:
        async with world() as here:
            await ready(here)
            watch = await watched(here)
            await here.kill()
            await here.upper.wait_registered(INNER_ID)
            await asyncio.sleep(5.0)
            assert await here.upper.subscriptions.refresh(watch) == 481
            again = await watched(here)
            assert (again.notices, again.ended) == (1, "")

    run(scenario())


def test_storms_of_subscriptions_and_refreshes_cost_a_notice_a_window() -> None:
    async def scenario() -> None:
        async with world() as here:
            await ready(here)
            subscriptions = here.upper.subscriptions
            wire = Wire(here.network)
            await asyncio.gather(*(subscriptions.subscribe() for _ in range(500)))
            assert here.gateway.inner.side.as_lower.subscriptions == 1
            await asyncio.sleep(WINDOW)
            first = len(wire.between(INNER, UPPER, "NOTIFY"))
            assert 1 <= first <= 500
            last = await watched(here)
            for _ in range(500):
                assert await subscriptions.refresh(last) == 200
            await asyncio.sleep(2 * WINDOW)
            seconds = 500 * 0.05 + 2 * WINDOW
            assert len(wire.between(INNER, UPPER, "NOTIFY")) - first <= seconds + 2
            assert here.gateway.inner.side.endpoint.pending <= 1

    run(scenario())


PRIORITIES: Final = [("StartAlarmPriority", "1"), ("EndAlarmPriority", "2"), ("AlarmMethod", "2/5")]
ALARMS: Final = text().replace("[[rule]]", RULE + "[[rule]]", 1)


async def rung(here: World, number: int, *, priority: str = "1", method: str = "2", camera: int = 0) -> None:
    """An alarm whose text is its number, taken below and told above as far as anybody wants it."""
    spec = AlarmSpec(device=here.shared()[camera], priority=priority, method=method, description=str(number))
    assert await here.lower.bell.ring(spec) == 200
    await asyncio.sleep(2.0)


def heard(watch: Watch) -> list[str]:
    return [alarm.text("AlarmDescription") for alarm in watch.alarms]


def test_who_has_subscribed_to_alarms_is_told_of_them_in_its_dialog_and_of_no_others(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=ALARMS) as here:
            await ready(here)
            watch = await here.upper.subscriptions.subscribe("Alarm", fields=PRIORITIES)
            await watch.until(1)
            await asyncio.sleep(0.1)
            await rung(here, 1)
            await rung(here, 2, priority="3")
            await rung(here, 3, method="6")
            await rung(here, 4, priority="2", method="5")
            assert heard(watch) == ["1", "4"]
            assert watch.alarms[0].device_id == here.shared()[0]
            assert await here.upper.subscriptions.refresh(watch, 0) == 200
            await asyncio.sleep(2.0)
            await rung(here, 5, priority="4")
            assert here.upper.alarms.told() == ["5"], "who has not subscribed is sent them as ever"
            assert heard(watch) == ["1", "4"]

    run(scenario())


def test_an_alarm_whose_subscription_is_lost_or_elsewhere_comes_as_a_message() -> None:
    async def scenario() -> None:
        async with world(written=ALARMS) as here:
            await ready(here)
            await here.upper.catalog()
            watch = await watched(here, "Alarm", target=here.shared()[0])
            await rung(here, 1, camera=1)
            await rung(here, 2)
            assert (here.upper.alarms.told(), heard(watch)) == (["1"], ["2"])
            watch.answer = 481
            await rung(here, 3)
            await rung(here, 4)
            assert (here.upper.alarms.told(), heard(watch)) == (["1", "3", "4"], ["2"])
            assert here.gateway.inner.side.as_lower.subscriptions == 0

    run(scenario())


def test_an_upper_that_is_told_no_alarms_may_not_subscribe_to_them() -> None:
    async def scenario() -> None:
        async with world(written=ALARMS.replace(UPPER_TABLE, UPPER_TABLE + 'alarms = "off"\n')) as here:
            await ready(here)
            assert (await refused(here, "Alarm")).status == 403

    run(scenario())


def test_thousands_of_subscriptions_of_one_upper_are_sixteen_and_the_others_are_told_when_to_come() -> None:
    async def scenario() -> None:
        async with world(cameras=80) as here:
            await ready(here)
            targets, refusals = here.shared(), list[SubscribeRefused]()

            async def one(number: int) -> None:
                try:
                    await here.upper.subscriptions.subscribe(target=targets[number % len(targets)])
                except SubscribeRefused as error:
                    refusals.append(error)

            for start in range(0, 2_000, 100):
                await asyncio.gather(*(one(number) for number in range(start, start + 100)))
                assert here.gateway.inner.side.as_lower.subscriptions <= 16
            assert len(refusals) > 1_000
            assert {error.status for error in refusals} == {503}
            assert all(0 < int(error.headers["Retry-After"]) <= 60 for error in refusals)
            counts = counted(here)
            assert counts["subscriptions"] == here.gateway.inner.side.as_lower.subscriptions == 16
            assert counts["subscriptions_full"] == len(refusals)
            await asyncio.sleep(40.0)
            assert here.gateway.inner.side.endpoint.stack.counters()["now_open"] == 0
            assert (await here.upper.catalog()).complete

    run(scenario())
