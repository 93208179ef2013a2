"""Store and forward: an alarm that was answered 200 arrives above, in its order and once, whoever was away.

The link between the hosts, either host, either process, the platform above, a disk: each is gone for a
while, at any moment of an alarm's way.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final, Literal

import pytest

from cascade.as_lower.reporting import seconds_of
from cascade.model.ids import PlatformId
from gateway.app import SideName
from gateway.chamber.link.hosts import SURVIVES_SECONDS
from gateway.local.messages import Status
from gateway.trace.desk import Desk
from gateway.words import LANGUAGES
from interop.sim.alarms import AlarmSpec
from tests.clock import run
from tests.gateway.hosts import Hosts, hosts
from tests.gateway.test_alarms import SOON, WITH_ALARMS, ready
from tests.gateway.test_status import drawn
from tests.gateway.test_two_hosts import cut, up
from tests.gateway.world import INNER, UPPER, UPPER_ID, WALL, Link, Wire, World, header, world

LONG: Final = 700.0
"""Longer than the longest pause between two attempts to dial, to register or to send."""


async def ring(here: World | Hosts, camera: str, *numbers: int) -> None:
    for number in numbers:
        spec = AlarmSpec(device=camera, description=f"alarm {number}", time=f"2026-03-01T16:00:{number:02d}")
        assert await here.lower.bell.ring(spec) == 200


def told(*numbers: int) -> list[str]:
    return [f"alarm {number}" for number in numbers]


def kept(here: World | Hosts) -> dict[SideName, int]:
    return {side: len(store._letters) for side, store in here.stores.items()}


def heard(here: World | Hosts) -> list[str]:
    """What the platform above was told, as one that knows what it had by its SN."""
    by_sn = {message.sn: message.text("AlarmDescription") for message in here.upper.alarms.taken}
    return list(by_sn.values())


def test_alarms_wait_for_an_upper_that_is_offline_and_come_in_order(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=WITH_ALARMS) as here:
            camera = await ready(here)
            await ring(here, camera, 1)
            await asyncio.sleep(SOON)
            here.network.cut(UPPER)
            await ring(here, camera, 2)  # nobody has noticed yet
            await asyncio.sleep(LONG)
            assert not here.gateway.inner.side.as_lower.registered(PlatformId(UPPER_ID))
            await ring(here, camera, 3, 4)
            await asyncio.sleep(LONG)
            assert kept(here) == {"inner": 3, "outer": 0}
            here.network.mend(UPPER)
            await asyncio.sleep(LONG)
            assert here.upper.alarms.told() == told(1, 2, 3, 4)
            assert here.upper.alarms.told("AlarmTime")[1] == "2026-03-01T16:00:02", "when it happened"
            assert kept(here) == {"inner": 0, "outer": 0}
            counters = here.gateway.inner.side.as_lower.counters()
            assert counters["alarms_taken"] == counters["alarms_sent"] == counters["alarm_responses"] == 4

    run(scenario(), seconds=20_000)


def test_an_upper_that_says_when_is_told_again_then(link: Link) -> None:
    """Retry-After beside its 503 says 1 s, where we would wait 10."""

    async def scenario() -> None:
        async with world(link, written=WITH_ALARMS) as here:
            camera = await ready(here)
            here.upper.alarms.status = 503
            await ring(here, camera, 1)
            await asyncio.sleep(9.5)
            assert 9 <= here.upper.alarms.refused <= 10
            here.upper.alarms.status = 200
            await asyncio.sleep(1.1)
            assert here.upper.alarms.told() == told(1)

    run(scenario())


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 10.0),
        ("5", 5.0),
        (" 18 (busy);duration=60", 18.0),
        ("0", 1.0),
        ("999999999999", 60.0),
        ("soon", 10.0),
    ],
)
def test_what_it_says_is_believed_within_bounds(said: str, seconds: float) -> None:
    assert seconds_of(said) == seconds


def test_they_outlive_the_process(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=WITH_ALARMS) as here:
            camera = await ready(here)
            here.network.cut(UPPER)
            await ring(here, camera, 1, 2)
            await asyncio.sleep(SOON)
            await here.kill()
            await here.shown()
            await ring(here, camera, 3)
            await here.kill()
            here.network.mend(UPPER)
            await asyncio.sleep(LONG)
            assert here.upper.alarms.told() == told(1, 2, 3)
            assert kept(here) == {"inner": 0, "outer": 0}
            assert here.trails_whole()

    run(scenario(), seconds=20_000)


def test_one_whose_answer_was_lost_comes_again_under_its_number() -> None:
    async def scenario() -> None:
        async with world(written=WITH_ALARMS) as here:
            camera = await ready(here)
            answers = 0

            def lose(payload: bytes, source: tuple[str, int], _destination: tuple[str, int]) -> bool:
                nonlocal answers
                mine = source[0] == UPPER and payload.startswith(b"SIP/2.0 200") and b"MESSAGE" in payload
                answers += mine
                return mine and answers < 20

            here.network.drop = lose
            wire = Wire(here.network)
            await ring(here, camera, 1, 2)
            await asyncio.sleep(LONG)
            sent = [one for one in wire.between(INNER, UPPER, "MESSAGE") if "<CmdType>Alarm" in one]
            assert len({header(one, "Call-ID") for one in sent}) > 2, "a request of its own each time"
            assert here.upper.alarms.told() == [*told(1), *told(1), *told(2)]
            first, again, _ = here.upper.alarms.taken
            assert first.sn == again.sn
            assert heard(here) == told(1, 2)

    run(scenario(), seconds=20_000)


@pytest.mark.parametrize("seconds", [2.0, 20.0, LONG])
@pytest.mark.parametrize("dies", ["nobody", "outer", "inner", "both"])
def test_alarms_wait_while_the_link_is_away(seconds: float, dies: str) -> None:
    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            camera = await up(here)
            await ring(here, camera, 1)
            await asyncio.sleep(SOON)
            cut(here)
            await ring(here, camera, 2, 3)
            assert [letter.alarm.description for letter in here.stores["outer"]._letters.values()] == told(
                2, 3
            )
            await asyncio.sleep(seconds / 2)
            sides: tuple[SideName, ...] = ("outer", "inner")
            for side in sides:
                if dies in (side, "both"):
                    here.kill(side)
                    await asyncio.sleep(1.0)
                    await here.start(side)
            await asyncio.sleep(seconds / 2)
            assert here.upper.alarms.told() == told(1)
            await ring(here, camera, 4)
            here.cable.cut = False
            await asyncio.sleep(LONG)
            assert here.upper.alarms.told() == told(1, 2, 3, 4)
            assert kept(here) == {"inner": 0, "outer": 0}
            for side in sides:
                records = (here.folder / f"{side}.jsonl").read_text()
                passed = [
                    line for line in records.splitlines() if '"notice.alarm"' in line and '"Ask"' in line
                ]
                assert len(passed) == 4, "judged and recorded when it passed, and only then"
            assert here.trails_whole()

    run(scenario(), seconds=20_000)


@pytest.mark.parametrize("dies", ["nobody", "outer", "inner"])
def test_one_that_was_taken_but_not_confirmed_is_not_told_twice(
    dies: Literal["nobody", "outer", "inner"],
) -> None:
    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            camera = await up(here)
            arrived = asyncio.Event()
            here.side("inner").gate.observe(lambda _direction, _crossing: arrived.set())
            await ring(here, camera, 1)
            await arrived.wait()
            await asyncio.sleep(0.001)  # kept, and the answer is on the wire
            cut(here)
            await asyncio.sleep(2 * SURVIVES_SECONDS)
            assert here.upper.alarms.told() == told(1)
            assert kept(here) == {"inner": 0, "outer": 1}, "nobody has told the outer side"
            if dies != "nobody":
                here.kill(dies)
                await here.start(dies)
            here.cable.cut = False
            await asyncio.sleep(LONG)
            await ring(here, camera, 2)
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == told(1, 2)
            assert kept(here) == {"inner": 0, "outer": 0}
            assert here.side("inner").side.as_lower.counters()["alarms_repeated"] == 1

    run(scenario())


BEFALLS: Final = ("cut", "mend", "outer", "inner", "upper", "back")


@pytest.mark.parametrize("seed", range(24))
def test_whoever_dies_whenever_each_alarm_is_heard_once_and_in_its_order(seed: int) -> None:
    """Any sequence of cuts and deaths, at moments that fall between any two steps of an alarm's way."""

    async def scenario() -> None:
        chance = random.Random(seed)
        async with hosts(written=WITH_ALARMS) as here:
            camera = await up(here)
            statuses: list[int] = []
            for store in here.stores.values():
                store.seconds = 0.004

            async def ring_all() -> None:
                for number in range(1, 21):
                    time = f"2026-03-01T16:00:{number:02d}"
                    spec = AlarmSpec(device=camera, description=f"alarm {number}", time=time)
                    statuses.append(await here.lower.bell.ring(spec))
                    await asyncio.sleep(chance.choice([0.0, 0.0, 1.0, 20.0]))

            ringing = asyncio.create_task(ring_all())
            while not ringing.done():
                await asyncio.sleep(chance.choice([0.003, 0.006, 0.01, 0.02, 0.03, 3.0, 10.0]))
                match chance.choice(BEFALLS):
                    case "cut":
                        cut(here)
                    case "mend":
                        here.cable.cut = False
                    case "upper":
                        here.network.cut(UPPER)
                    case "back":
                        here.network.mend(UPPER)
                    case side:
                        name: SideName = "outer" if side == "outer" else "inner"
                        here.kill(name)
                        await asyncio.sleep(chance.choice([0.1, 8.0]))
                        await here.start(name)
            here.cable.cut = False
            here.network.mend(UPPER)
            await asyncio.sleep(3 * LONG)
            came = heard(here)
            assert came == [each for each in told(*range(1, 21)) if each in came], "in order, and none twice"
            answered = [number for number, status in enumerate(statuses, start=1) if status == 200]
            assert set(told(*answered)) <= set(came), "what was answered is not lost"
            assert len(answered) > 5
            assert kept(here) == {"inner": 0, "outer": 0}
            assert here.trails_whole()

    run(scenario(), seconds=50_000)


def test_status_says_how_many_wait_for_whom_and_since_when() -> None:
    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            camera = await up(here)
            here.network.cut(UPPER)
            await ring(here, camera, 1)
            await asyncio.sleep(SOON)
            cut(here)
            await ring(here, camera, 2, 3)
            await asyncio.sleep(100.0)
            wall = WALL + here.network.loop.time()
            sides: tuple[SideName, ...] = ("outer", "inner")
            for side, count, addressee, shown in (
                (sides[0], 2, "", ("alarms on disk for inner: 2", "的告警：2 条")),
                (sides[1], 1, UPPER_ID, (f"alarms on disk for {UPPER_ID}: 1", "的告警：1 条")),
            ):
                now = Desk((here.side(side).seat,), wall=lambda: wall).status(Status())
                (kept,) = now.sides[0].kept
                assert (kept.addressee, kept.count, kept.lost) == (addressee, count, 0)
                assert kept.oldest is not None
                assert 100.0 <= wall - kept.oldest <= 103.0
                for language, text in zip(LANGUAGES, shown, strict=True):
                    assert text in drawn(now, None, language, rows=60, columns=240)

    run(scenario())


def test_status_says_how_many_were_lost_for_want_of_room() -> None:
    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS + "\n[alarms]\nkept = 3\n") as here:
            camera = await up(here)
            cut(here)
            await ring(here, camera, 1, 2, 3, 4, 5)
            now = Desk((here.side("outer").seat,), wall=lambda: WALL).status(Status())
            (kept,) = now.sides[0].kept
            assert (kept.count, kept.lost) == (3, 2)
            for language, text in zip(LANGUAGES, ("lost for want of room: 2", "已丢失：2 条"), strict=True):
                assert text in drawn(now, None, language, rows=60, columns=240)

    run(scenario())


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never did")


async def kept_behind_a_cut(here: Hosts, count: int) -> None:
    """So many alarms wait on the outer host's disk; both disks take their time."""
    camera = await up(here)
    cut(here)
    await ring(here, camera, *range(1, count + 1))
    for store in here.stores.values():
        store.seconds = 0.02


def test_many_cross_at_once_and_those_that_come_together_share_a_write() -> None:
    """One at a time they would take two disks and a way there and back each: 58 of them three seconds."""

    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            await kept_behind_a_cut(here, 58)
            here.cable.cut = False
            await asyncio.sleep(SURVIVES_SECONDS)
            await until(lambda: here.link("outer").up)
            began = here.network.loop.time()
            await until(lambda: not kept(here)["outer"])
            assert here.network.loop.time() - began < 0.6
            await asyncio.sleep(LONG)
            assert here.upper.alarms.told() == told(*range(1, 59))
            assert here.trails_whole()

    run(scenario(), seconds=20_000)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_befalls_a_window_under_way_they_come_once_and_in_their_order(seed: int) -> None:
    """A cut, a death on either side, a disk that takes nothing: at any moment of many that cross at once."""
    chance = random.Random(seed)

    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            await kept_behind_a_cut(here, 58)
            here.cable.cut = False
            for _ in range(6):
                await until(lambda: here.link("outer").up or not kept(here)["outer"])
                await asyncio.sleep(chance.choice([0.001, 0.006, 0.012, 0.021, 0.034, 0.05]))
                what = chance.choice(["cut", "inner", "outer", "inner's disk", "outer's disk"])
                match what:
                    case "cut":
                        cut(here)
                        await asyncio.sleep(chance.choice([0.5, 20.0]))
                        here.cable.cut = False
                    case "inner" | "outer":
                        side: SideName = "inner" if what == "inner" else "outer"
                        here.kill(side)
                        await asyncio.sleep(chance.choice([0.1, 20.0]))
                        await here.start(side)
                    case _:
                        store = here.stores["inner" if what.startswith("inner") else "outer"]
                        store.full = True
                        await asyncio.sleep(chance.choice([0.03, 2.0]))
                        store.full = False
            await asyncio.sleep(3 * LONG)
            assert heard(here) == told(*range(1, 59))
            assert kept(here) == {"inner": 0, "outer": 0}
            assert here.trails_whole()

    run(scenario(), seconds=50_000)


def test_none_is_taken_before_one_that_a_disk_did_not_take() -> None:
    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            camera = await up(here)
            disk, counts = here.stores["inner"], here.side("inner").side.as_lower.counters
            disk.seconds, disk.full = 0.1, True
            await ring(here, camera, 1, 2, 3, 4)  # the disk still tries to take the first
            await until(lambda: counts()["alarms_not_kept"] > 0)
            disk.full = False
            await asyncio.sleep(LONG)
            assert counts()["alarms_out_of_turn"] == 3, "they were there already"
            assert here.upper.alarms.told() == told(1, 2, 3, 4)

    run(scenario(), seconds=20_000)


def test_a_window_whose_confirmations_are_lost_is_taken_once() -> None:
    async def scenario() -> None:
        async with hosts(written=WITH_ALARMS) as here:
            await kept_behind_a_cut(here, 40)
            here.upper.alarms.status = 503
            here.cable.cut = False
            await until(lambda: kept(here)["inner"] > 20)
            assert kept(here)["outer"] > 20, "nobody has told the outer side of these"
            here.cable.cut = True  # and nobody is told of that either
            await asyncio.sleep(60.0)
            here.upper.alarms.status = 200
            here.cable.cut = False
            await asyncio.sleep(LONG)
            assert here.upper.alarms.told() == told(*range(1, 41))
            assert here.side("inner").side.as_lower.counters()["alarms_repeated"] > 20

    run(scenario(), seconds=20_000)
