"""What stands in items of real catalogs, and in keepalives: odd fields cost themselves, nothing else."""

import asyncio

import pytest

from cascade.manscdp import keepalive
from cascade.model.ids import PeerName
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, GROUP, ORGANISATION, answer, item, page
from tests.gateway.by_hand import below
from tests.gateway.packets import stream
from tests.gateway.world import LOWER_ID, Link, World, text

ALARM = "44010600001340000001"


def shown(here: World) -> list[str]:
    """Ids that the other side has."""
    return sorted(here.gateway.inner.side.shared.rows(LOWER_ID).ids())


def row(here: World, name: str) -> dict[str, str]:
    found = here.gateway.inner.side.shared.find(LOWER_ID, name)
    assert found is not None
    return dict(found)


def outcome(here: World) -> str:
    return here.gateway.outer.side.as_upper.state()[0].outcome


def counted(here: World, name: str) -> int:
    return here.gateway.outer.side.as_upper.counters()[name]


async def upward(here: World) -> dict[str, dict[str, str]]:
    """What the upper platform is shown, by id; each item as it was written."""
    report = await here.upper.catalog()
    assert report.complete
    return {str(entry["DeviceID"]): dict(entry) for entry in report.items}


# Q25-Q33: what is in an item


def test_q25_a_path_of_parents_hangs_the_item_below_its_last(link: Link) -> None:
    async def scenario() -> None:
        tree = (
            item(GROUP, called="Group"),
            item(ORGANISATION, f"<BusinessGroupID>{GROUP}</BusinessGroupID><ParentID>{GROUP}</ParentID>"),
            item(CAMERAS[0], f"<Status>ON</Status><ParentID>{GROUP}/{ORGANISATION}</ParentID>"),
        )
        async with below(link, show=()) as (here, lower):
            await lower.show(*tree)
            await here.shown(1)
            assert row(here, CAMERAS[0])["branch"].split("/")[:2] == [ORGANISATION, GROUP]
            seen = await upward(here)
            assert seen[CAMERAS[0]]["ParentID"].split("/")[-1] == ORGANISATION

    run(scenario())


def test_q26_an_item_that_is_its_own_parent_has_none(link: Link) -> None:
    async def scenario() -> None:
        items = (
            item(CAMERAS[0], f"<ParentID>{CAMERAS[0]}</ParentID>"),
            item(CAMERAS[1], f"<ParentID>{CAMERAS[2]}</ParentID>"),
            item(CAMERAS[2], f"<ParentID>{CAMERAS[1]}</ParentID>"),
        )
        async with below(link, show=()) as (here, lower):
            await lower.show(*items)
            await here.shown(3)
            for name in CAMERAS:
                assert name not in row(here, name).get("branch", "").split("/")
            seen = await upward(here)
            assert all(name not in seen[name].get("ParentID", "").split("/") for name in CAMERAS)

    run(scenario())


def test_q27_an_item_without_parent_belongs_to_its_device_and_says_so_above(link: Link) -> None:
    async def scenario() -> None:
        items = (item(LOWER_ID, called="Recorder"), *map(item, CAMERAS))
        async with below(link, show=()) as (here, lower):
            await lower.show(*items)
            await here.shown(3)
            seen = await upward(here)
            assert {seen[name]["ParentID"] for name in CAMERAS} == {LOWER_ID}

    run(scenario())


@pytest.mark.parametrize("name", ["440106", GROUP, ORGANISATION, "44010600002000000009", ALARM])
def test_q28_what_is_no_camera_is_shown_but_never_invited(link: Link, name: str) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.show(item(name, "", called="Thing"), item(CAMERAS[0]))
            await here.shown(1)
            assert name in await upward(here)
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(name):
                    pass
            assert refused.value.status == 404
            assert lower.count("INVITE") == 0

    run(scenario())


SPELLINGS = {
    "ON": "ON",
    "On": "ON",
    "ONLINE": "ON",
    "OK": "ON",
    "off": "OFF",
    "OFFLINE": "OFF",
    "": "ON",
    None: "ON",
    "VLOST": "ON",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_q29_spellings_of_a_fresh_items_status(link: Link, spelling: str | None) -> None:
    async def scenario() -> None:
        status = "" if spelling is None else f"<Status>{spelling}</Status>"
        async with below(link, show=()) as (here, lower):
            await lower.show(item(CAMERAS[0], status))
            await here.shown(1)
            assert (await upward(here))[CAMERAS[0]]["Status"] == SPELLINGS[spelling]

    run(scenario())


@pytest.mark.parametrize("spelling", ["VLOST", "DEFECT", "7"])
def test_q29_an_unknown_status_keeps_the_old_one(link: Link, spelling: str) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.show(item(CAMERAS[0], "<Status>OFF</Status>"))
            await here.shown(1)
            sn = await lower.asked(seconds=4000.0)
            await lower.page(sn, 1, item(CAMERAS[0], f"<Status>{spelling}</Status>", called="Again"))
            await asyncio.sleep(1.0)
            assert row(here, CAMERAS[0])["name"] == "Again"
            assert (await upward(here))[CAMERAS[0]]["Status"] == "OFF"

    run(scenario())


def test_q30_q31_q32_odd_fields_cost_themselves_and_are_never_passed_on(link: Link) -> None:
    async def scenario() -> None:
        more = (
            "<Status>ON</Status><CivilCode>CivilCode</CivilCode><Owner>Owner</Owner><Block>null</Block>"
            "<Address>Address 1</Address><PTZType>1</PTZType><Longitude>0.0</Longitude><Latitude>x</Latitude>"
            "<Password>secret</Password><IPAddress>192.168.1.64</IPAddress><Port>8000</Port>"
        )
        async with below(link, show=()) as (here, lower):
            await lower.show(
                item(CAMERAS[0], more),
                item(CAMERAS[1], "<Longitude>23.12</Longitude><Latitude>113.36</Latitude>"),
                item(CAMERAS[2], "<Longitude>113.36</Longitude><Latitude>23.12</Latitude>"),
            )
            await here.shown(3)
            seen = await upward(here)
            odd = seen[CAMERAS[0]]
            assert odd["CivilCode"].isdigit()
            for name in ("Block", "Longitude", "Latitude", "Password", "IPAddress", "Port"):
                assert not odd.get(name)
            assert "null" not in str(odd).lower()
            assert odd.get("Owner") != "Owner"
            assert not seen[CAMERAS[1]].get("Longitude")
            assert (seen[CAMERAS[2]]["Longitude"], seen[CAMERAS[2]]["Latitude"]) == ("113.36", "23.12")
            assert row(here, CAMERAS[0])["ptz_type"] == "1"

    run(scenario())


@pytest.mark.parametrize("system", ["WGS84", "GCJ02", "unknown"])
def test_q32_a_place_is_kept_with_its_system_and_not_converted(link: Link, system: str) -> None:
    """It stands in the row beyond the lock; the catalog that is shown above has no word for it."""

    async def scenario() -> None:
        written = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\ncoordinates = "{system}"'})
        place = "<Longitude>113.361200</Longitude><Latitude>23.124680</Latitude>"
        tree = (
            item(CAMERAS[0], place),
            item(CAMERAS[1], "<Longitude>23.124680</Longitude><Latitude>113.361200</Latitude>"),
            item(CAMERAS[2], f"{place}<Coordinates>BD09</Coordinates><CoordinateSystem>2</CoordinateSystem>"),
        )
        async with below(link, show=tree, written=written) as (here, _lower):
            rows = [row(here, name) for name in CAMERAS]
            assert [found.get("coordinates") for found in rows] == [system, None, system]
            assert (rows[0]["longitude"], rows[0]["latitude"]) == ("113.361200", "23.124680")
            seen = await upward(here)
            assert (seen[CAMERAS[0]]["Longitude"], seen[CAMERAS[0]]["Latitude"]) == (
                "113.361200",
                "23.124680",
            )
            assert "coordinates" not in str(seen).lower()
            assert system not in str(seen)

    run(scenario())


def test_q32_a_system_that_is_corrected_reaches_the_rows_that_are_there(link: Link) -> None:
    async def scenario() -> None:
        tree = [item(CAMERAS[0], "<Longitude>113.36</Longitude><Latitude>23.12</Latitude>")]
        async with below(link, show=tree) as (here, lower):
            assert row(here, CAMERAS[0])["coordinates"] == "WGS84"
            configured = here.folder / "gateway.toml"
            written = configured.read_text()
            corrected = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\ncoordinates = "GCJ02"'})
            assert configured.read_text() != corrected
            configured.write_text(corrected)
            assert written == text()
            await here.kill()
            assert row(here, CAMERAS[0])["coordinates"] == "WGS84"
            await lower.page(await lower.asked(), 1, *tree)
            await asyncio.sleep(1.0)
            assert row(here, CAMERAS[0])["coordinates"] == "GCJ02"

    run(scenario())


def test_q20_to_q24_and_q33_broken_text_costs_no_item(link: Link) -> None:
    async def scenario() -> None:
        items = (
            item(CAMERAS[0], "<Block/><Address/><Status>ON</Status>", called="A&B 门口"),
            item(CAMERAS[1], "<Address>??<KP?<K?'@?</Address>", called="a\x01\x02b"),
            item(f"\r\n {CAMERAS[2]} \r\n", "<Status> ON </Status>", called=" 门 "),
        )
        async with below(link, show=()) as (here, lower):
            await lower.show(*items)
            await here.shown(3)
            assert [row(here, name)["name"] for name in CAMERAS] == ["A&B 门口", "ab", "门"]
            assert sorted(set(await upward(here)) & set(CAMERAS)) == list(CAMERAS)

    run(scenario())


@pytest.mark.parametrize(
    ("charset", "name"), [("auto", "模样"), ("GB18030", "模样"), ("UTF-8", "\u0123\u0123\u0123\u0123")]
)
def test_q24_what_the_configuration_knows_counts_more_than_the_bytes(
    link: Link, charset: str, name: str
) -> None:
    """These bytes are names in both charsets; by themselves they would be taken for GB2312."""

    async def scenario() -> None:
        written = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\ncharset_in = "{charset}"'})
        async with below(link, show=(), written=written) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            encoded = name.encode("utf-8" if charset == "UTF-8" else "gb18030")
            await lower.say(page(sn, 1, item(CAMERAS[0], called="NAME")).replace(b"NAME", encoded))
            await here.shown(1)
            assert row(here, CAMERAS[0])["name"] == name

    run(scenario())


@pytest.mark.parametrize("declared", ['encoding="GB2312"', 'encoding="UTF-8"', ""])
@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_q24_a_declaration_that_lies_does_no_harm(link: Link, declared: str, encoding: str) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            body = page(sn, 1, item(CAMERAS[0], called="镕基东门摄像机")).decode("gb18030")
            body = body.replace('encoding="GB2312"', declared)
            await lower.say(body.encode(encoding))
            await here.shown(1)
            assert row(here, CAMERAS[0])["name"] == "镕基东门摄像机"

    run(scenario())


# Q14, Q15: keepalives


def test_q14_a_fault_is_flagged_and_the_lease_goes_on(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            lower.stop_keepalives()
            me = PeerName(LOWER_ID)
            faulty = (CAMERAS[1],)
            for number in range(6):
                await asyncio.sleep(60.0)
                body = keepalive.write(sn=number, device_id=me, ok=False, faulty=faulty)
                assert (await lower.say(body)).start == "SIP/2.0 200 OK"
            view = here.gateway.outer.side.as_upper.state()[0]
            assert view.online
            assert (view.fault, view.faulty) == (True, faulty)
            await lower.say(keepalive.write(sn=7, device_id=me))
            view = here.gateway.outer.side.as_upper.state()[0]
            assert (view.fault, view.faulty) == (False, ())

    run(scenario())


BY_POLICY = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nfault = "offline"'})


async def states(here: World) -> dict[str, str]:
    """What the upper platform reads as the state of each camera."""
    seen = await upward(here)
    return {name: seen[name]["Status"] for name in CAMERAS}


def test_q14_by_policy_who_is_not_well_is_offline_until_a_good_keepalive(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, written=BY_POLICY) as (here, lower):
            lower.stop_keepalives()
            me = PeerName(LOWER_ID)
            face = here.gateway.outer.side.as_upper
            for number in range(4):  # its lease goes on all the same
                assert (await lower.say(keepalive.write(sn=number, device_id=me, ok=False))).start[
                    8:
                ] == "200 OK"
                await asyncio.sleep(60.0)
                (view,) = face.state()
                assert (view.online, view.fault, face.bound) == (False, True, 1)
                assert set((await states(here)).values()) == {"OFF"}
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(CAMERAS[0]):
                    pass
            assert refused.value.status == 480
            assert lower.count("INVITE") == 0
            await lower.say(keepalive.write(sn=7, device_id=me))
            await asyncio.sleep(1.0)
            assert face.state()[0].online
            assert set((await states(here)).values()) == {"ON"}

    run(scenario())


def test_q14_by_policy_a_stream_of_who_is_not_well_ends(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, written=BY_POLICY) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(50)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]) as playing:
                await asyncio.sleep(1.0)
                await lower.say(keepalive.write(sn=1, device_id=PeerName(LOWER_ID), ok=False))
                await asyncio.sleep(1.0)
                assert playing.ended is not None
                await lower.wait("BYE")
            await serving

    run(scenario())


def test_q14_by_policy_broken_children_are_off_as_long_as_they_are_listed(link: Link) -> None:
    async def scenario() -> None:
        tree = (item(CAMERAS[0]), item(CAMERAS[1], "<Status>OFF</Status>"), item(CAMERAS[2], ""))
        async with below(link, written=BY_POLICY, show=tree) as (here, lower):
            me = PeerName(LOWER_ID)
            own = dict(zip(CAMERAS, ("ON", "OFF", "ON"), strict=True))
            assert await states(here) == own
            for broken in ((CAMERAS[0], CAMERAS[2], "unknown"), (CAMERAS[2],), (CAMERAS[1],), ()):
                await lower.say(keepalive.write(sn=1, device_id=me, faulty=broken))
                await asyncio.sleep(1.0)
                expected = {name: "OFF" if name in broken else state for name, state in own.items()}
                assert await states(here) == expected
                assert here.gateway.outer.side.as_upper.state()[0].online
            await lower.say(keepalive.write(sn=1, device_id=me, faulty=CAMERAS))
            await lower.register(0)
            await lower.register()
            await lower.page(await lower.asked(), 3, *tree)  # and its rows come anew
            await asyncio.sleep(1.0)
            assert await states(here) == own

    run(scenario())


def test_q14_by_policy_a_catalog_does_not_lift_what_the_keepalive_says(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, written=BY_POLICY) as (here, lower):
            me = PeerName(LOWER_ID)
            await lower.say(keepalive.write(sn=1, device_id=me, faulty=CAMERAS[:1]))
            await asyncio.sleep(3590.0)
            await lower.page(await lower.asked(), 3, *(item(name, called="Anew") for name in CAMERAS))
            await asyncio.sleep(1.0)
            assert row(here, CAMERAS[0])["name"] == "Anew"
            assert set((await states(here)).values()) == {"ON"}  # keepalives since then say all is well
            await lower.say(keepalive.write(sn=2, device_id=me, faulty=CAMERAS[:1]))
            await asyncio.sleep(0.1)
            here.gateway.outer.side.as_upper.offer_all()
            await asyncio.sleep(1.0)
            assert list((await states(here)).values()) == ["OFF", "ON", "ON"]

    run(scenario())


@pytest.mark.parametrize(
    "status", ["<Status>Ok</Status>", "<Status>ON</Status>", "", "<Status>OFF</Status>", "<x"]
)
def test_q14_any_keepalive_with_a_head_renews(link: Link, status: str) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            lower.stop_keepalives()
            for number in range(6):
                await asyncio.sleep(60.0)
                body = (
                    f"<Notify><CmdType>Keepalive</CmdType><SN>{number}</SN>"
                    f"<DeviceID>{LOWER_ID}</DeviceID>{status}</Notify>"
                )
                assert (await lower.say(body.encode())).start == "SIP/2.0 200 OK"
            assert here.gateway.outer.side.as_upper.state()[0].online

    run(scenario())
