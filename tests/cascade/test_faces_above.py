"""What those above us ask and get, seen from both sides of the gate, in virtual time."""

import asyncio

import pytest

from cascade.as_lower.sharing import Share
from cascade.crossing import Ask, CatalogBatch, NoAnswer, Notice
from cascade.manscdp import catalog
from cascade.model.commands.presence import PeerState, Presence
from cascade.model.index import Rows, Snapshot
from tests.cascade.ground import (
    AT_INNER,
    NVR,
    OURS,
    UPPER,
    UPPER_PEER,
    Peer,
    cameras,
    keepalive,
    query,
)
from tests.cascade.stage import Stage, play, shown, stage
from tests.clock import run


def test_we_register_above_keep_alive_and_say_goodbye() -> None:
    async def whole() -> None:
        async with stage() as on:
            assert [event.auth for event in on.upper.registers] == [0, 1]
            assert len({event.call_id for event in on.upper.registers}) == 1
            assert on.inner.lower.registered(UPPER)
            await asyncio.sleep(121)
            assert len(on.upper.of("Keepalive", "Notify")) == 2
            above = on.upper
        assert [event.expires for event in above.registers] == [86400, 86400, 0, 0]
        assert [event.cseq for event in above.registers] == [1, 2, 3, 4]

    run(whole())


def test_an_upper_asks_for_the_catalog_and_gets_it_page_by_page() -> None:
    ids = cameras(10)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(query("Catalog", 4711, OURS)) == 200
        answers = on.upper.of("Catalog", "Response")
        assert {head.sn for _, head in answers} == {"4711"}
        assert {catalog.read(event.body).sum_num for event, _ in answers} == {11}
        assert shown(on)[0] == OURS
        assert sorted(shown(on)[1:]) == ids
        assert all(len(event.body) <= UPPER_PEER.page_bytes for event, _ in answers)
        assert len(on.inner.store.triples[UPPER]) == 10
        assert on.inner.store.flushed == 1

    play(scenario)


def test_pages_wait_for_the_answer_to_the_one_before_and_stop_when_it_is_refused() -> None:
    async def scenario(on: Stage) -> None:
        await on.stock(cameras(30))
        on.upper.answer = lambda event, head: 500 if len(on.upper.of("Catalog", "Response")) >= 3 else 200
        assert await on.ask(query("Catalog", 5, OURS)) == 200
        assert len(on.upper.of("Catalog", "Response")) == 3
        on.upper.answer = lambda event, head: 200
        on.upper.heard.clear()
        assert await on.ask(query("Catalog", 6, OURS)) == 200
        assert len(shown(on)) == 31

    play(scenario)


def test_a_query_repeated_while_it_is_answered_is_answered_again_afterwards() -> None:
    async def scenario(on: Stage) -> None:
        await on.stock(cameras(12))
        for _ in range(3):
            assert await on.ask(query("Catalog", 5, OURS), seconds=0.0) == 200
        await asyncio.sleep(2)
        assert shown(on).count(OURS) == 2

    play(scenario)


def test_a_part_of_the_catalog_is_answered_for_a_channel() -> None:
    ids = cameras(4)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(query("Catalog", 9, ids[2])) == 200
        assert shown(on) == [ids[2]]

    play(scenario)


def test_questions_about_us_are_answered_by_us() -> None:
    async def scenario(on: Stage) -> None:
        await on.stock(cameras(3))
        assert await on.ask(query("DeviceInfo", 21, OURS)) == 200
        assert await on.ask(query("DeviceStatus", 22, OURS)) == 200
        (info, head), (status, _) = on.upper.of("DeviceInfo", "Response") + on.upper.of(
            "DeviceStatus", "Response"
        )
        assert (head.sn, head.device_id) == ("21", OURS)
        assert b"<Channel>3</Channel>" in info.body
        assert b"<Online>ONLINE</Online>" in status.body
        assert not any(isinstance(crossing, Ask) for crossing in on.inner.door.sent)

    play(scenario)


def test_a_question_about_a_channel_goes_down_under_another_number_and_comes_back() -> None:
    ids = cameras(2)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(query("DeviceInfo", 900, ids[0]), seconds=0.1) == 200
        ((_, below),) = on.nvr.of("DeviceInfo")
        assert (below.device_id, below.sn != "900") == (ids[0], True)
        answer = (
            f"<?xml version='1.0'?><Response><CmdType>DeviceInfo</CmdType><SN>{below.sn}</SN>"
            f"<DeviceID>{NVR}</DeviceID><Result>OK</Result><Manufacturer>Example</Manufacturer></Response>"
        )
        assert await on.nvr.tell(answer) == 200
        await asyncio.sleep(0.1)
        ((event, above),) = on.upper.of("DeviceInfo", "Response")
        assert (above.sn, above.device_id) == ("900", ids[0])
        assert b"<Manufacturer>Example</Manufacturer>" in event.body
        assert await on.nvr.tell(answer) == 200
        await asyncio.sleep(0.1)
        assert len(on.upper.of("DeviceInfo", "Response")) == 1

    play(scenario)


def test_silence_below_is_an_error_above() -> None:
    async def scenario(on: Stage) -> None:
        ids = cameras(1)
        await on.stock(ids)
        assert await on.ask(query("DeviceStatus", 7, ids[0]), seconds=9.0) == 200
        assert on.upper.of("DeviceStatus", "Response") == []
        await asyncio.sleep(2)
        ((event, head),) = on.upper.of("DeviceStatus", "Response")
        assert (head.sn, head.device_id) == ("7", ids[0])
        assert b"<Result>ERROR</Result>" in event.body

    play(scenario)


def test_a_device_that_is_offline_is_answered_for_at_once() -> None:
    async def scenario(on: Stage) -> None:
        ids = cameras(1)
        await on.stock(ids)
        await on.nvr.register("down", expires=0)
        await asyncio.sleep(0.1)
        row = on.inner.lower.index.find(NVR, ids[0])
        assert row is not None
        assert row["status"] == "OFF"
        assert await on.ask(query("DeviceInfo", 7, ids[0]), seconds=0.2) == 200
        ((event, _),) = on.upper.of("DeviceInfo", "Response")
        assert b"<Result>ERROR</Result>" in event.body
        (failed,) = [crossing for crossing in on.outer.door.sent if isinstance(crossing, NoAnswer)]
        assert failed.failure == "offline"

    play(scenario)


def test_what_is_unknown_is_404_and_what_the_near_door_refuses_is_403() -> None:
    async def scenario(on: Stage) -> None:
        ids = cameras(1)
        await on.stock(ids)
        assert await on.ask(query("DeviceInfo", 1, "44010600001329999999")) == 404
        assert await on.ask(query("Catalog", 1, "44010600001329999999")) == 404
        assert await on.ask(query("RecordInfo", 1, ids[0])) == 403
        on.inner.door.refuse = lambda crossing: isinstance(crossing, Ask)
        assert await on.ask(query("DeviceInfo", 1, ids[0])) == 403
        control = query("DeviceControl", 1, ids[0]).replace("Query>", "Control>")
        control = control.replace("</Control>", "<PTZCmd>A50F01</PTZCmd></Control>")
        on.inner.door.forbidden = {"control.ptz"}
        assert await on.ask(control) == 403
        assert await on.ask(keepalive(UPPER)) == 200
        assert on.upper.of("DeviceInfo", "Response") == []

    play(scenario)


def test_rows_the_gate_refused_are_neither_shown_nor_found() -> None:
    async def scenario(on: Stage) -> None:
        on.outer.door.refuse = lambda crossing: isinstance(crossing, CatalogBatch)
        ids = cameras(2)
        await on.stock(ids)
        assert on.outer.upper.index.count(NVR) == 2
        assert await on.ask(query("Catalog", 1, OURS)) == 200
        assert shown(on) == [OURS]
        assert await on.ask(query("DeviceInfo", 1, ids[0])) == 404

    play(scenario)


def test_an_upper_that_has_restarted_gets_us_back_at_once() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.answer = lambda event, head: 403
        await asyncio.sleep(61)
        assert len(on.upper.registers) == 4
        assert on.inner.lower.registered(UPPER)

    play(scenario)


def test_an_upper_that_is_gone_is_tried_again_with_growing_pauses() -> None:
    async def scenario(on: Stage) -> None:
        on.network.cut(on.upper.at[0])
        await asyncio.sleep(60 + 32 + 60 + 32 + 60 + 32 + 1)
        assert not on.inner.lower.registered(UPPER)
        assert on.inner.lower.state()[0].problem == "3 keepalives without answer"
        await asyncio.sleep(40)
        assert on.inner.lower.state()[0].problem == "no answer to REGISTER"
        on.network.mend(on.upper.at[0])
        await asyncio.sleep(91)
        assert on.inner.lower.registered(UPPER)
        assert len({event.call_id for event in on.upper.registers}) == 1

    play(scenario)


def test_requests_of_another_upper_s_name_or_address_belong_to_nobody() -> None:
    async def scenario(on: Stage) -> None:
        stranger = Peer(on.network, UPPER, ("192.0.2.9", 5060), on.upper.server, AT_INNER)
        assert await stranger.tell(query("Catalog", 1, OURS)) == 403
        elsewhere = Peer(
            on.network, "44000000002000000077", ("198.51.100.11", 5060), on.upper.server, AT_INNER
        )
        assert await elsewhere.tell(query("Catalog", 1, OURS)) == 403
        assert await on.upper.tell(query("Catalog", 1, OURS), sender="44990000002000000001") == 200
        await asyncio.sleep(1)
        assert [event.to_user for event, _ in on.upper.of("Catalog", "Response")] == ["44990000002000000001"]

    play(scenario)


def announced(target: str, *, source: str = f"<SourceID>{UPPER}</SourceID>", sn: str = "7") -> str:
    return f"<Notify><CmdType>Broadcast</CmdType><SN>{sn}</SN>{source}<TargetID>{target}</TargetID></Notify>"


def test_a_voice_is_announced_below_in_our_name_and_its_answer_is_the_uppers_own() -> None:
    ids = cameras(1)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(announced(ids[0])) == 200
        ((event, head),) = on.nvr.of("Broadcast", "Notify")
        assert head.device_id == ids[0]
        assert head.sn != "7"
        assert f"<SourceID>{OURS}</SourceID>".encode() in event.body
        assert on.upper.of("Broadcast", "Response") == []
        answer = f"<Response><CmdType>Broadcast</CmdType><SN>{head.sn}</SN><Result>OK</Result></Response>"
        assert await on.nvr.tell(answer) == 200
        await asyncio.sleep(0.1)
        ((event, head),) = on.upper.of("Broadcast", "Response")
        assert (head.sn, head.device_id) == ("7", ids[0])
        assert b"<Result>OK</Result>" in event.body

    play(scenario)


def test_an_announcement_that_can_serve_nobody_is_answered_error() -> None:
    ids = cameras(1)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(announced(ids[0], sn="7" * 11)) == 400
        assert await on.ask(announced(ids[0], source="<SourceID/>")) == 400
        assert await on.ask(announced(ids[0], source="<DeviceID>x</DeviceID>")) == 200
        assert (
            await on.ask(announced(ids[0]).replace("<TargetID>", "<TargetID>x</TargetID><TargetID>")) == 200
        )
        assert on.nvr.of("Broadcast", "Notify") == []
        answers = on.upper.of("Broadcast", "Response")
        assert [head.device_id for _, head in answers] == ["x", "x"]
        assert all(b"<Result>ERROR</Result>" in event.body for event, _ in answers)

    play(scenario)


def test_an_announcement_is_served_by_its_head_whatever_follows() -> None:
    ids = cameras(1)

    async def scenario(on: Stage) -> None:
        await on.stock(ids)
        assert await on.ask(announced(ids[0])[:-9] + "<Info><") == 200
        assert len(on.nvr.of("Broadcast", "Notify")) == 1

    play(scenario)


def test_an_id_that_is_not_known_is_looked_for_when_rows_came_and_not_when_somebody_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """110,000 peers that come back must not have each such INVITE gather the rows of all (70 ms a time)."""
    nobody = "44010600001320009999"
    looks: list[Share] = []
    assign = Share.assign

    def noted(share: Share) -> tuple[Snapshot, bool]:
        looks.append(share)
        return assign(share)

    async def scenario(on: Stage) -> None:
        await on.stock(cameras(3))
        share = next(iter(on.inner.lower._uppers)).share
        monkeypatch.setattr(Share, "assign", noted)
        for online in (True, False, True):
            there = Presence(states=(PeerState(NVR, online),))
            on.inner.deliver(Notice(correlation=1, origin=NVR, payload=there))
            assert share.resolve(nobody) is None
        assert len(looks) == 1  # for what had come before
        new = Rows.build([{"id": nobody, "name": "New"}])
        on.inner.deliver(CatalogBatch(correlation=2, origin=NVR, change="present", rows=new))
        assert share.resolve(nobody) is not None
        assert len(looks) == 2

    play(scenario)
