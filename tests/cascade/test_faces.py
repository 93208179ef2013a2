"""What those below us do, seen from both sides of the gate, in virtual time."""

import asyncio
from dataclasses import replace

from tests.cascade.ground import (
    AT_NVR,
    AT_OUTER,
    LOWER_PEER,
    NVR,
    OURS,
    UPPER,
    UPPER_PEER,
    OneSide,
    Shelf,
    cameras,
    keepalive,
    nvr,
    page,
    query,
)
from tests.cascade.stage import Stage, play, presence, shown
from tests.clock import VirtualLoop, run
from tests.sip.network import Network


def test_a_device_registers_is_kept_alive_and_goes_silent() -> None:
    async def scenario(on: Stage) -> None:
        answer = await on.nvr.register("down")
        assert (answer.status, answer.expires, answer.header("Date")) == (
            200,
            3600,
            "2026-03-01T08:00:00.115",
        )
        assert answer.header("Contact") == f"<sip:{NVR}@{AT_NVR[0]}:5060>;expires=3600"
        for _ in range(5):
            await asyncio.sleep(60)
            assert await on.nvr.tell(keepalive(NVR)) == 200
        assert on.outer.upper.online(NVR)
        await asyncio.sleep(189)
        assert on.outer.upper.online(NVR)
        await asyncio.sleep(2)
        assert not on.outer.upper.online(NVR)
        assert presence(on.outer) == [False, True, False]
        assert await on.nvr.tell(keepalive(NVR)) == 200
        await asyncio.sleep(1)
        assert presence(on.outer) == [False, True, False, True]

    play(scenario)


def test_nobody_goes_offline_because_we_stood_still() -> None:
    """A paused machine loses the keepalives of that time (Q15); the silence after it is the peer's own."""

    async def scenario(on: Stage) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await on.nvr.register("down")
        await asyncio.sleep(60)
        assert await on.nvr.tell(keepalive(NVR)) == 200
        await asyncio.sleep(30)
        loop._now += 90.0  # two keepalives go lost
        await asyncio.sleep(20)
        loop._now += 90.0  # and another
        await asyncio.sleep(40)  # 190 s of silence were over long ago
        assert on.outer.upper.online(NVR)
        assert presence(on.outer) == [False, True]
        assert await on.nvr.tell(keepalive(NVR)) == 200
        await asyncio.sleep(189)
        assert on.outer.upper.online(NVR)
        await asyncio.sleep(2)
        assert not on.outer.upper.online(NVR)
        assert on.outer.upper.counters()["registrar_held_up"] == 2

    play(scenario)


def test_nobody_gets_in_without_its_password_and_nobody_is_told_which_ids_exist() -> None:
    async def scenario(on: Stage) -> None:
        assert (await on.nvr.register("wrong")).status == 401
        assert (await on.nvr.register("down", user="34020000001180000009")).status == 401
        assert await on.nvr.tell(keepalive(NVR)) == 403
        assert on.outer.upper.bound == 0
        assert (await on.nvr.register("down")).status == 200
        assert await on.nvr.tell(query("DeviceInfo", 1, OURS)) == 403

    play(scenario)


def test_a_catalog_comes_in_pages_out_of_order_and_crosses() -> None:
    ids = cameras(7)

    async def scenario(on: Stage) -> None:
        await on.nvr.register("down")
        await asyncio.sleep(0.1)
        _, head = on.nvr.of("Catalog")[0]
        assert head.device_id == NVR
        for part in (ids[4:], ids[:2], ids[:2], ids[2:4]):
            assert await on.nvr.tell(page(head.sn, 7, part)) == 200
        await asyncio.sleep(0.1)
        assert sorted(on.inner.lower.index.rows(NVR).ids()) == ids
        assert sorted(on.outer.store.rows[NVR]) == sorted(on.inner.store.rows[NVR]) == ids
        assert await on.nvr.tell(page(head.sn, 7, ids)) == 200
        assert on.outer.upper.counters()["catalog_pages_unknown"] == 1
        (view,) = on.outer.upper.state()
        assert (view.rows, view.outcome, view.syncing) == (7, "complete", None)

    play(scenario)


def test_a_partial_catalog_deletes_nothing_and_a_whole_one_does() -> None:
    ids = cameras(4)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        await on.nvr.register("down", expires=0)
        await on.nvr.register("down")
        await asyncio.sleep(0.1)
        _, head = on.nvr.of("Catalog")[-1]
        await on.nvr.tell(page(head.sn, 4, [*ids[:1], "44010600001320000099"]))
        for _ in range(2):
            await asyncio.sleep(16)
            await on.nvr.tell(keepalive(NVR))
        assert len(on.inner.lower.index.rows(NVR)) == 5
        again = on.nvr.of("Catalog")
        assert len(again) == 3
        await on.nvr.tell(page(again[-1][1].sn, 2, ids[:2]))
        await asyncio.sleep(0.1)
        assert sorted(on.inner.lower.index.rows(NVR).ids()) == ids[:2]
        assert sorted(on.inner.store.rows[NVR]) == ids[:2]

    play(scenario)


def test_a_page_that_cannot_be_read_costs_itself() -> None:
    async def scenario(on: Stage) -> None:
        await on.nvr.register("down")
        await asyncio.sleep(0.1)
        _, head = on.nvr.of("Catalog")[0]
        broken = page(head.sn, 1, cameras(1)).replace("</Item>", "</Itm>")
        assert await on.nvr.tell(broken) == 200
        assert await on.nvr.tell(page(head.sn, 1, cameras(1))) == 200
        await asyncio.sleep(0.1)
        assert on.outer.upper.index.count(NVR) == 1

    play(scenario)


def test_a_restart_remembers_peers_rows_and_ids() -> None:
    outer_store, inner_store = Shelf(), Shelf()
    ids = [*cameras(2), "channel-3"]

    async def before(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(query("Catalog", 1, OURS)) == 200
        on.upper.heard.clear()

    async def after(on: Stage) -> None:
        assert on.outer.upper.online(NVR)
        assert len(on.inner.lower.index) == 3
        assert await on.nvr.tell(keepalive(NVR)) == 200
        assert await on.ask(query("Catalog", 2, OURS)) == 200
        assert sorted(shown(on)) == sorted([OURS, *(triple[2] for triple in inner_store.triples[UPPER])])
        generated = next(triple[2] for triple in inner_store.triples[UPPER] if triple[1] == "channel-3")
        assert generated.isdigit()
        assert len(generated) == 20
        assert await on.ask(query("DeviceInfo", 3, generated), seconds=0.1) == 200
        assert on.nvr.of("DeviceInfo")[0][1].device_id == "channel-3"
        assert len(inner_store.triples[UPPER]) == 3

    play(before, outer_store=outer_store, inner_store=inner_store)
    play(after, outer_store=outer_store, inner_store=inner_store)


def test_a_side_shows_its_uppers_nothing_of_its_own_lowers() -> None:
    """Both faces on one side: rows that did not come through a gate stay unseen, after a restart too."""
    store = Shelf()

    async def whole() -> None:
        network = Network(asyncio.get_running_loop(), 3)
        for _ in range(2):
            side = OneSide(
                network,
                AT_OUTER,
                lowers=[LOWER_PEER],
                uppers=[replace(UPPER_PEER, host="203.0.113.10")],
                passwords={NVR: "down", UPPER: "up"},
                store=store,
            )
            task = asyncio.create_task(side.run())
            device = nvr(network)
            await device.register("down")
            await asyncio.sleep(0.1)
            _, head = device.of("Catalog")[0]
            await device.tell(page(head.sn, 1, cameras(1)))
            await asyncio.sleep(0.1)
            assert side.upper.index.count(NVR) == 1
            assert len(side.lower.index) == 0
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            side.stack.close()
            device.stack.close()

    run(whole())
