"""Whatever happens below, on the wires and to subscriptions: who follows its notices knows what a query would
say, and at the end nothing is left behind."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from interop.sim.catalog import camera_item
from interop.sim.notifying import changed
from interop.sim.subscribing import Watch
from tests.clock import run
from tests.gateway.test_orphans import EXAMPLES
from tests.gateway.world import INNER_ID, LINKS, LOWER, LOWER_ID, World, text, world

TABLE = f'[[outer.lower]]\nid = "{LOWER_ID}"\n'
SUBSCRIBING = text().replace(TABLE, TABLE + 'subscribe = ["catalog"]\ncatalog_seconds = 300\n')


@dataclass(frozen=True)
class Step:
    """Something that the lower tells of a camera, or a cable that is out, and a while after it."""

    what: str
    camera: int
    seconds: float


WHAT = st.sampled_from(["ON", "OFF", "ADD", "UPDATE", "DEL", "lower away", "forgets", "refresh"])
STEPS = st.builds(Step, WHAT, st.integers(0, 7), st.integers(0, 60).map(lambda tenths: tenths / 10))


async def do(here: World, step: Step, watch: Watch, cameras: dict[int, str]) -> None:
    """Let it happen, and let the lower's own catalog be what it has told."""
    if step.what == "lower away":
        here.network.cut(LOWER)
        await asyncio.sleep(20 * step.seconds)
        here.network.mend(LOWER)
    elif step.what == "forgets":
        here.lower.notifier.forget()
    elif step.what == "refresh":
        await here.upper.subscriptions.refresh(watch, 3600)
    else:
        camera = here.tree.cameras[step.camera]
        if step.what in {"ADD", "UPDATE"}:
            cameras[step.camera] = f"{camera.name} {step.seconds}"
        elif step.what == "DEL":
            cameras.pop(step.camera, None)
        shown = [replace(here.tree.cameras[number], name=name) for number, name in cameras.items()]
        here.lower.answers.tell({LOWER_ID: replace(here.tree, cameras=tuple(shown))})
        named = replace(camera, name=cameras.get(step.camera, camera.name))
        fields = camera_item(named, LOWER_ID, here.tree.branches[0].id)
        await here.lower.notifier.tell([changed(step.what, fields)])
    await asyncio.sleep(step.seconds)


def follow(known: dict[str, str], watch: Watch) -> dict[str, str]:
    """What a subscriber makes of the notices it has had: the status of each channel."""
    for event, name in watch.told:
        if event == "DEL":
            known.pop(name, None)
        elif event in {"ADD", "UPDATE"}:
            known[name] = watch.items[name].get("Status", "")
        else:
            known[name] = event
    return known


def channels(items: Sequence[dict[str, str]]) -> dict[str, str]:
    return {item["DeviceID"]: item["Status"] for item in items if item["DeviceID"][10:13] == "132"}


@settings(max_examples=EXAMPLES // 2)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=12),
    loss=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_notices_add_up_to_what_a_query_says(steps: Sequence[Step], loss: float, seed: int) -> None:
    async def scenario() -> None:
        async with world(LINKS["encoded"], written=SUBSCRIBING, seed=seed) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            before = await here.upper.catalog()
            watch = await here.upper.subscriptions.subscribe(expires=3600)
            await watch.until(1)
            here.network.loss = loss
            cameras = {number: camera.name for number, camera in enumerate(here.tree.cameras)}
            for step in steps:
                await do(here, step, watch, cameras)
            here.network.loss = 0.0
            await asyncio.sleep(1000.0)  # a query or two, and whatever has to be subscribed anew
            after = await here.upper.catalog()
            known = follow(channels([dict(item) for item in before.items]), watch)
            assert {name: status for name, status in known.items() if name[10:13] == "132"} == channels(
                [dict(item) for item in after.items]
            )
            assert here.gateway.outer.side.as_upper.subscriptions == 1
            assert len(here.lower.notifier.subscribed()) >= 1
            await here.upper.subscriptions.refresh(watch, 0)
            await asyncio.sleep(100.0)
            assert here.gateway.inner.side.as_lower.subscriptions == 0
            for side in (here.gateway.outer.side, here.gateway.inner.side):
                if side.endpoint.pending:  # a keepalive may be on its way just now
                    await asyncio.sleep(1.0)
                assert side.endpoint.pending == 0

    run(scenario())
