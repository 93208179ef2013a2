"""Several uppers turn one camera: one at a time, the highest level first, and it never turns for nobody."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Final

import pytest

from cascade.manscdp.device_control import read_movement, write_movement
from cascade.model.commands.device_control import Movement
from gateway import config
from gateway.chamber.link.hosts import SURVIVES_SECONDS
from gateway.cli.status import page
from gateway.local.messages import Status
from gateway.words import ENGLISH
from interop.sim.upper import PTZ_LEFT, PTZ_STOP
from sip._native import ha1
from sip.aio.ask import ask
from sip.endpoint import Party
from sip.events import Event
from tests.cascade.ground import Peer
from tests.clock import run
from tests.gateway.hosts import hosts
from tests.gateway.test_refusals import ALLOWED, body
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    OUTER,
    PASSWORD,
    UPPER_ID,
    Link,
    Wire,
    World,
    header,
    world,
)

RIGHT: Final = write_movement(Movement(pan="right", pan_speed=64))
UP: Final = write_movement(Movement(tilt="up", tilt_speed=32))
EQUAL_ID, HIGH_ID = "44000000002000000002", "44000000002000000009"
HOSTS: Final = {EQUAL_ID: "198.51.100.12", HIGH_ID: "198.51.100.19"}

SHARED_BY_THREE: Final = ALLOWED.replace(
    "[[rule]]",
    f'[[inner.upper]]\nid = "{EQUAL_ID}"\nhost = "{HOSTS[EQUAL_ID]}"\n\n'
    f'[[inner.upper]]\nid = "{HIGH_ID}"\nhost = "{HOSTS[HIGH_ID]}"\nptz_level = 8\n\n[[rule]]',
    1,
)
"""Two uppers of the usual level, 5, and one above them."""


class Desk:
    """An operator's desk at one of the uppers."""

    def __init__(self, here: World, peer: Peer) -> None:
        self.peer = peer
        self._here = here
        self._sn = 0

    async def turn(self, ptz: str, *, claiming: str = "", camera: int = 0) -> Event:
        """The answer to one control; `claiming` is its ControlPriority."""
        self._sn += 1
        info = f"<Info><ControlPriority>{claiming}</ControlPriority></Info>" if claiming else ""
        payload = body(self._here.shared()[camera], f"<PTZCmd>{ptz}</PTZCmd>{info}", str(self._sn))
        us = Party(INNER_ID, INNER_ID[:10])
        endpoint = self.peer.endpoint
        message = endpoint.request(
            "MESSAGE", us, (INNER, 5060), body=payload, content_type="Application/MANSCDP+xml"
        )
        return await ask(endpoint, message)

    async def status(self, ptz: str, *, claiming: str = "", camera: int = 0) -> int:
        return (await self.turn(ptz, claiming=claiming, camera=camera)).status


class Desks:
    """The world with three uppers; `low` is the simulator's platform, whose level is that of `equal`."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.equal, self.high = (Desk(here, contender(here, id)) for id in (EQUAL_ID, HIGH_ID))

    async def low(self, ptz: str) -> int:
        return await self.here.upper.control(self.here.shared()[0], ptz)

    def moves(self) -> list[str]:
        """What the first camera was told, in order."""
        return [ptz for name, ptz in self.here.lower.controls if name == self.here.shared()[0]]

    def notes(self, event: str) -> list[dict[str, Any]]:
        return [record for record in self.here.audit("inner") if record.get("event") == event]

    def count(self, name: str) -> int:
        return self.here.gateway.inner.side.as_lower.counters()[name]


def contender(here: World, id: str) -> Peer:
    realm = id[:10]
    us = Party(INNER_ID, INNER_ID[:10])
    peer = Peer(here.network, id, (HOSTS[id], 5060), us, (INNER, 5060), realm=realm)
    peer.stack.set_credentials(INNER_ID, [("MD5", ha1(INNER_ID, realm, PASSWORD))])
    return peer


@asynccontextmanager
async def desks(link: Link, written: str = SHARED_BY_THREE, **more: Any) -> AsyncIterator[Desks]:
    async with world(link, written=written, **more) as here:
        found = Desks(here)
        try:
            await here.shown()
            await asyncio.sleep(130.0)  # the two that are late are registered with by then
            yield found
        finally:
            await here.close()
            for desk in (found.equal, found.high):
                desk.peer.stack.close()


def test_a_higher_level_takes_a_camera_over_and_the_loser_is_told(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            assert await on.high.status(UP) == 200
            await asyncio.sleep(1.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP, UP], "it stops before it turns for another"
            wire = Wire(on.here.network)
            assert await on.low(PTZ_STOP) == 486
            (answer,) = wire.between(INNER, "198.51.100.10", "SIP/2.0 486")
            assert "of a higher level has taken this camera over" in header(answer, "Warning")
            assert HIGH_ID not in answer
            assert (await on.equal.turn(RIGHT)).header("Warning") == (
                f'399 {INNER} "another turns this camera, of an equal or higher level"'
            )
            assert await on.high.status(PTZ_STOP) == 200
            waiting = await on.equal.turn(RIGHT)
            assert (waiting.status, waiting.header("Retry-After")) == (486, "10")
            await asyncio.sleep(9.5)
            assert await on.equal.status(RIGHT) == 486
            await asyncio.sleep(0.5)
            assert await on.equal.status(RIGHT) == 200
            await asyncio.sleep(1.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP, UP, PTZ_STOP, RIGHT]
            (taken,) = on.notes("ptz-taken")
            assert taken["peer"] == HIGH_ID
            assert taken["details"]["other"] == UPPER_ID
            assert (taken["details"]["level"], taken["details"]["other_level"]) == ("8", "5")
            assert on.here.shared()[0] in taken["details"]["channel"]
            assert [note["peer"] for note in on.notes("ptz-held")] == [UPPER_ID, EQUAL_ID, EQUAL_ID, EQUAL_ID]
            assert (on.count("ptz_taken"), on.count("ptz_held")) == (1, 4)
            assert on.here.trails_whole()

    run(scenario())


def test_status_says_who_turns_what(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.high.status(UP) == 200
            assert await on.high.status(RIGHT, camera=1) == 200
            assert await on.high.status(PTZ_STOP, camera=1) == 200
            standing = on.here.gateway.desk(lambda: 0.0).status(Status())
            turns = [turn for side in standing.sides for turn in side.turns]
            assert [(turn.peer, turn.level, turn.moving) for turn in turns] == [
                (HIGH_ID, 8, True),
                (HIGH_ID, 8, False),
            ]
            first, second = on.here.shared()[:2]
            notes = page(standing, None, ENGLISH).notes
            assert [note for note in notes if "turn" in note] == [
                f"{HIGH_ID} turns {first} (level 8)",
                f"{HIGH_ID} has turned {second} (level 8): another of that level may in 10 s",
            ]
            await asyncio.sleep(70.0)
            standing = on.here.gateway.desk(lambda: 0.0).status(Status())
            assert [turn for side in standing.sides for turn in side.turns] == []

    run(scenario())


def test_an_equal_level_waits_and_another_camera_is_free(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            assert await on.equal.status(RIGHT) == 486
            assert await on.equal.status(PTZ_STOP) == 486, "nor does it stop what is not its own"
            assert await on.equal.status(RIGHT, camera=1) == 200
            await asyncio.sleep(1.0)
            assert on.moves() == [PTZ_LEFT]
            assert (on.here.shared()[1], RIGHT) in on.here.lower.controls

    run(scenario())


def test_a_command_may_claim_less_than_its_level_and_never_more(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            assert await on.equal.status(RIGHT, claiming="255") == 486, "above what the configuration gives"
            assert await on.high.status(UP, claiming="5") == 486
            assert await on.high.status(UP, claiming="6") == 200
            assert await on.high.status(UP, claiming="highest") == 200
            assert await on.high.status(UP, claiming="-1") == 200
            await asyncio.sleep(1.0)
            assert [on.moves().count(ptz) for ptz in (PTZ_LEFT, PTZ_STOP, UP, RIGHT)] == [1, 1, 3, 0]

    run(scenario())


def test_an_upper_that_is_lost_leaves_no_camera_turning(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            on.high.peer.answer = lambda event, head: 403  # it knows us no longer, and says so to a keepalive
            while not on.count("ptz_stopped"):
                assert await on.high.status(UP) == 200
                await asyncio.sleep(10.0)
            assert on.moves()[-1] == PTZ_STOP
            assert on.count("ptz_stopped") == on.moves().count(PTZ_STOP) == 1
            assert on.here.gateway.outer.side.as_upper.counts["ptz_stopped"] == 0
            assert await on.low(PTZ_LEFT) == 200, "and it is free"

    run(scenario())


def test_a_movement_that_nobody_stops_or_renews_is_stopped_by_us(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(50.0)
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(59.0)
            assert on.moves() == [PTZ_LEFT, PTZ_LEFT]
            assert await on.equal.status(RIGHT) == 486
            await asyncio.sleep(2.0)
            assert on.moves() == [PTZ_LEFT, PTZ_LEFT, PTZ_STOP]
            assert on.here.gateway.outer.side.as_upper.counts["ptz_stopped"] == 1
            assert await on.equal.status(RIGHT) == 200

    run(scenario())


def test_whoever_sees_nothing_any_more_turns_nothing_any_more(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            camera = on.here.shared()[0]
            async with on.here.upper.play(camera):
                async with on.here.upper.play(camera):
                    assert await on.low(PTZ_LEFT) == 200
                    await asyncio.sleep(1.0)
                await asyncio.sleep(2.0)
                assert on.moves() == [PTZ_LEFT], "somebody there still sees it"
            await asyncio.sleep(2.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP]
            async with on.here.upper.play(camera):
                await asyncio.sleep(1.0)
                assert await on.low(PTZ_LEFT) == 200
                assert await on.low(PTZ_STOP) == 200
            await asyncio.sleep(2.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP] * 2

    run(scenario())


def test_a_right_that_is_withdrawn_ends_the_movement_too(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            (on.here.folder / "gateway.toml").write_text(SHARED_BY_THREE.replace("control.ptz", "control.no"))
            denied = config.examine(on.here.folder / "gateway.toml").config
            assert denied is not None
            on.here.gateway.inner.gate.adopt(denied.rules())
            on.here.gateway.outer.gate.adopt(denied.rules())
            assert await on.low(PTZ_STOP) == 403
            await asyncio.sleep(61.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP]

    run(scenario())


def test_a_stop_of_the_gateway_stops_what_it_turned(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            await on.here.life.stop()
            await asyncio.sleep(1.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP]

    run(scenario())


def test_a_stop_of_what_nobody_turns_goes_through_and_holds_nothing(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.high.status(PTZ_STOP) == 200
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            assert on.moves() == [PTZ_STOP, PTZ_LEFT]

    run(scenario())


def test_what_cannot_be_read_holds_nothing(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.high.status("A50F0102400000F8") == 200
            assert await on.high.status("A50F01820005003C") == 200
            assert await on.low(PTZ_LEFT) == 200
            assert on.count("controls_unreadable") == 2

    run(scenario())


def test_who_has_no_right_hears_of_no_lock(link: Link) -> None:
    written = SHARED_BY_THREE.replace('action = "control.ptz"', f'action = "control.ptz"\npeer = "{HIGH_ID}"')

    async def scenario() -> None:
        async with desks(link, written) as on:
            assert await on.high.status(UP) == 200
            assert await on.low(PTZ_LEFT) == 403
            assert on.count("ptz_held") == 0

    run(scenario())


def test_what_a_quota_keeps_back_takes_nothing_over(link: Link) -> None:
    """One command a minute: the stop goes before the movement, and is all that goes."""
    few = f'''[[rule]]
id = "ptz-seldom"
direction = "outward"
action = "control.ptz"
peer = "{HIGH_ID}"
channels = ["*"]
verdict = "allow"
quota = {{ commands = 1 }}

'''

    async def scenario() -> None:
        async with desks(link, SHARED_BY_THREE.replace("[[rule]]", few + "[[rule]]", 1)) as on:
            assert await on.low(PTZ_LEFT) == 200
            assert await on.high.status(UP) == 200
            await asyncio.sleep(1.0)
            assert on.moves() == [PTZ_LEFT, PTZ_STOP]
            assert await on.low(PTZ_LEFT) == 200, "it is as it was"
            assert await on.equal.status(RIGHT) == 486

    run(scenario())


def test_a_stop_that_overtakes_its_movement_is_told_again(link: Link) -> None:
    """The movement is lost on its way and repeated; meanwhile the stop has arrived."""

    async def scenario() -> None:
        async with desks(link) as on:
            lost = 0

            def lose_the_first(payload: bytes, source: tuple[str, int], to: tuple[str, int]) -> bool:
                nonlocal lost
                if (source[0], to[0]) != (OUTER, LOWER) or PTZ_LEFT.encode() not in payload or lost:
                    return False
                lost += 1
                return True

            on.here.network.drop = lose_the_first
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(0.1)
            assert await on.low(PTZ_STOP) == 200
            await asyncio.sleep(5.0)
            assert lost == 1
            assert on.moves() == [PTZ_STOP, PTZ_LEFT, PTZ_STOP]

    run(scenario())


@pytest.mark.parametrize(("seed", "loss"), [(1, 0.0), (2, 0.0), (3, 0.05), (4, 0.05), (5, 0.2)])
def test_whatever_three_desks_do_one_turns_it_and_in_the_end_it_stands(
    link: Link, seed: int, loss: float
) -> None:
    """Each desk turns at a speed of its own, so that what arrives says whose it is."""

    async def scenario() -> None:
        chance = random.Random(seed)
        async with desks(link) as on:
            on.here.network.loss = loss
            held: list[int] = []
            low = Desk(on.here, as_peer(on.here))

            async def one(desk: Desk, speed: int) -> None:
                for _ in range(25):
                    moving = chance.random() < 0.6
                    movement = Movement(pan="left", pan_speed=speed) if moving else Movement()
                    claiming = chance.choice(["", "", "3", "200"])
                    held.append(await desk.status(write_movement(movement), claiming=claiming))
                    await asyncio.sleep(chance.choice([0.0, 0.3, 2.0, 7.0, 12.0, 65.0]))

            await asyncio.gather(one(low, 10), one(on.equal, 20), one(on.high, 30))
            await asyncio.sleep(100.0)
            told = [read_movement(ptz) for ptz in on.moves()]
            assert told[-1].stop, "no camera turns for nobody"
            assert {200, 486} == set(held)
            if not loss:  # what is repeated by the network may come late, but not what comes last
                for before, after in pairwise(told):
                    assert before.stop or after.stop or before.pan_speed == after.pan_speed
            moving = on.here.gateway.outer.side.as_upper.controls.movements
            assert len(moving) == 0
            assert on.here.trails_whole()

    run(scenario())


def as_peer(here: World) -> Peer:
    """The simulator's upper as one that sends what it is told to; it goes on answering by itself."""
    peer = object.__new__(Peer)
    peer.endpoint = here.upper_calls.endpoint
    return peer


def test_a_link_that_is_cut_leaves_no_camera_turning() -> None:
    async def scenario() -> None:
        async with hosts(written=ALLOWED) as here:
            await here.playable_are(here.shared())
            camera = here.shared()[0]
            assert await here.upper.control(camera, PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            here.cable.cut = True
            here.cable.reset()
            assert await here.upper.control(camera, PTZ_STOP) == 503
            await asyncio.sleep(SURVIVES_SECONDS + 1.0)
            assert here.lower.controls == ((camera, PTZ_LEFT), (camera, PTZ_STOP))
            assert here.side("inner").side.as_lower.controls.holds() == []
            here.cable.cut = False
            await asyncio.sleep(40.0)
            assert await here.upper.control(camera, PTZ_LEFT) == 200

    run(scenario())
