"""What outlives the process, told alike by both stores; and what a full queue or a broken file does."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cascade.model.commands.alarm import Alarm, Moment
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import FIELDS, Index, Rows
from cascade.outbox import BEYOND, Letter
from cascade.ports import Binding, KeptDialog, Store
from gateway.store.memory import MemoryStore
from gateway.store.sqlite import migrations
from gateway.store.sqlite.store import SqliteStore
from gateway.store.sqlite.writer import SLICE_SECONDS, Database, StoreUnavailable

ONE, TWO = PlatformId("44010000002000000001"), PlatformId("44010000002000000002")

Reopen = Callable[[], Any]


def binding(peer: PlatformId, port: int = 5060) -> Binding:
    return Binding(
        peer=peer,
        host="10.1.0.9",
        port=port,
        contact=f"sip:{peer}@10.1.0.9:{port}",
        expires_at=1_700_003_600.5,
        registered_at=1_700_000_000.25,
    )


def dialog(call_id: str, *, early: bool = False, cseq: int = 1) -> KeptDialog:
    return KeptDialog(
        peer=ONE,
        media_port=30_002,
        call_id=call_id,
        local="<sip:us@4401000000>",
        local_tag="ours",
        remote="\"Gate; '1'\" <sip:cam@10.1.0.9>",
        remote_tag="" if early else "theirs",
        local_cseq=cseq,
        target="sip:cam@10.1.0.9:5060",
        routes=("<sip:10.1.0.1;lr>", "<sip:10.1.0.2;lr>"),
        host="10.1.0.9",
        port=5060,
        early=early,
    )


def row(name: str, **fields: str) -> dict[str, str]:
    return {"id": name, "name": f"camera {name}", **fields}


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path)
    yield store
    await store.close()


async def test_a_new_store_is_empty(store: Store) -> None:
    assert await store.bindings() == []
    assert await store.mapping(ONE) == []
    assert await store.catalog() == []
    await store.flush()


async def test_the_last_binding_of_a_peer_stands(store: Store) -> None:
    store.save_bindings([binding(TWO), binding(ONE)])
    store.save_bindings([binding(ONE, port=5070)])
    assert await store.bindings() == [binding(ONE, port=5070), binding(TWO)]
    store.save_bindings([binding(TWO, port=5080)], [ONE, PlatformId("unknown")])
    assert await store.bindings() == [binding(TWO, port=5080)]
    assert type((await store.bindings())[0].peer) is PlatformId


async def test_a_dialog_is_kept_as_it_was_last_until_it_is_dropped(store: Store) -> None:
    store.save_dialog(dialog("b"))
    store.save_dialog(dialog("a", early=True))
    store.save_dialog(dialog("a", cseq=2))
    await store.written()
    assert await store.dialogs() == [dialog("a", cseq=2), dialog("b")]
    assert type((await store.dialogs())[0].peer) is PlatformId
    store.drop_dialog("a", "ours")
    store.drop_dialog("b", "another tag")
    store.drop_dialog("unknown", "ours")
    assert await store.dialogs() == [dialog("b")]


async def test_an_invite_that_waits_is_kept_byte_for_byte_until_its_dialog_takes_its_place(
    store: Store,
) -> None:
    request = b"INVITE sip:a@b SIP/2.0\r\nCall-ID: \xc4\xa3\xff\x00\r\n\r\n"
    waiting = replace(dialog("a"), target="", request=request, media_port=0)
    store.save_dialog(waiting)
    assert await store.dialogs() == [waiting]
    store.save_dialog(dialog("a"))
    assert await store.dialogs() == [dialog("a")]


async def test_peers_of_a_ring_are_kept_once_and_for_good(store: Store) -> None:
    assert await store.ring() == []
    for peer in (TWO, ONE, TWO):
        store.save_ring(peer)
    assert await store.ring() == [ONE, TWO]
    assert type((await store.ring())[0]) is PlatformId


async def test_cameras_that_move_are_kept_until_they_are_dropped(store: Store) -> None:
    one, two = (ChannelId(ONE, PeerName(name)) for name in ("1", "2"))
    for camera in (two, one, two):
        store.save_moving(camera)
    await store.written()
    assert await store.moving() == [one, two]
    assert type((await store.moving())[0].peer) is PlatformId
    store.drop_moving(two)
    store.drop_moving(ChannelId(TWO, PeerName("1")))
    assert await store.moving() == [one]


async def test_ids_come_back_in_the_order_of_making(store: Store) -> None:
    store.save_mapping(ONE, [("b", "2", "shown 2"), ("a", "1", "shown 1")])
    store.save_mapping(ONE, [("a", "3", "shown 3")])
    store.save_mapping(TWO, [("a", "1", "shown 1")])
    assert await store.mapping(ONE) == [("b", "2", "shown 2"), ("a", "1", "shown 1"), ("a", "3", "shown 3")]
    assert await store.mapping(TWO) == [("a", "1", "shown 1")]


async def test_an_id_is_never_given_twice_nor_taken_away(store: Store) -> None:
    store.save_mapping(ONE, [("a", "1", "shown 1")])
    store.save_mapping(ONE, [("a", "1", "shown 9"), ("b", "2", "shown 1"), ("b", "2", "shown 2")])
    assert await store.mapping(ONE) == [("a", "1", "shown 1"), ("b", "2", "shown 2")]


async def test_rows_come_back_by_peer_and_id(store: Store) -> None:
    store.save_rows(TWO, Rows.build([row("1")]), [])
    store.save_rows(ONE, Rows.build([row("2", status="ON"), row("1", parent_id="2/3", branch="2/3")]), [])
    store.save_rows(ONE, Rows.build([row("2", status="OFF")]), ["1", "unknown"])
    store.save_rows(ONE, Rows.build([row("0")]), [])
    assert await store.catalog() == [
        (ONE, Rows.build([row("0"), row("2", status="OFF")])),
        (TWO, Rows.build([row("1")])),
    ]
    assert type((await store.catalog())[0][0]) is PlatformId
    store.save_rows(TWO, Rows.build([]), ["1"])
    assert [peer for peer, _ in await store.catalog()] == [ONE]


async def test_a_row_that_is_gone_and_present_at_once_is_present(store: Store) -> None:
    store.save_rows(ONE, Rows.build([row("1")]), [])
    store.save_rows(ONE, Rows.build([row("1", status="ON")]), ["1"])
    assert await store.catalog() == [(ONE, Rows.build([row("1", status="ON")]))]


async def test_a_whole_catalog_goes_through_the_index_and_back(store: Store) -> None:
    index = Index()
    tree = [row("4401"), row("1", parent_id="4401"), row("2", parent_id="1")]
    delta = index.apply(ONE, Rows.build(tree), True)
    store.save_rows(ONE, delta.present(), [])
    ((peer, rows),) = await store.catalog()
    again = Index()
    again.apply(peer, rows, True)
    for name in ("4401", "1", "2"):
        assert again.find(ONE, name) == index.find(ONE, name)
    assert again.find(ONE, "2") == row("2", parent_id="1", branch="1/4401/44")


# SQLite only


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "outer")
    store.save_bindings([binding(ONE)])
    store.save_mapping(TWO, [("a", "1", "shown 1")])
    store.save_rows(ONE, Rows.build([row("1")]), [])
    await store.close()
    await store.close()
    store = SqliteStore(tmp_path / "outer")
    assert await store.bindings() == [binding(ONE)]
    assert await store.mapping(TWO) == [("a", "1", "shown 1")]
    assert await store.catalog() == [(ONE, Rows.build([row("1")]))]
    await store.close()
    files = ["bindings.log", "catalog.db", "state.db"]
    assert sorted(path.name for path in (tmp_path / "outer").iterdir()) == files


async def test_a_file_of_the_first_step_gets_the_tables_of_the_next(tmp_path: Path) -> None:
    before = Database(tmp_path / "state.db", migrations.STATE[:1])
    await before.close()
    store = SqliteStore(tmp_path)
    store.save_dialog(dialog("a"))
    assert await store.dialogs() == [dialog("a")]
    await store.close()


async def test_what_is_written_outlives_a_sudden_death(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "life")
    store.save_dialog(dialog("a"))
    await store.written()
    (tmp_path / "after").mkdir()
    for file in (tmp_path / "life").glob("state.db*"):  # as the next process finds it: nothing was closed
        (tmp_path / "after" / file.name).write_bytes(file.read_bytes())
    await store.close()
    found = SqliteStore(tmp_path / "after")
    assert await found.dialogs() == [dialog("a")]
    await found.close()


def test_columns_are_the_fields_of_rows() -> None:
    assert tuple(FIELDS) == migrations.COLUMNS


async def test_rows_of_an_older_version_are_read_and_take_what_was_added(tmp_path: Path) -> None:
    before = Database(tmp_path / "catalog.db", migrations.CATALOG[:1])
    columns = [column for column in migrations.COLUMNS if column not in migrations.ADDED]
    values = [str(ONE), "1", *("x" for _ in columns[1:])]
    before.write("row", (f"INSERT INTO row VALUES ({', '.join('?' * len(values))})", [tuple(values)]))
    await before.close()
    store = SqliteStore(tmp_path)
    ((peer, rows),) = await store.catalog()
    assert (peer, rows.get(0)) == (ONE, dict(zip(columns, values[1:], strict=True)))
    store.save_rows(ONE, Rows.build([row("1", coordinates="GCJ02")]), [])
    await store.flush()
    ((_, rows),) = await store.catalog()
    assert rows.get(0) == row("1", coordinates="GCJ02")
    await store.close()


@settings(deadline=None, max_examples=20)
@given(rows=st.lists(st.dictionaries(st.sampled_from(FIELDS[1:]), st.text(max_size=9)), max_size=5))
def test_any_row_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> None:
    built = Rows.build([{**fields, "id": str(number)} for number, fields in enumerate(rows)])

    async def scenario() -> None:
        store = SqliteStore(tmp_path_factory.mktemp("store"))
        store.save_rows(ONE, built, [])
        assert await store.catalog() == ([(ONE, built)] if rows else [])
        await store.close()

    asyncio.run(scenario())


async def test_a_long_write_is_cut_into_slices_and_others_can_read_between(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    many = Rows.build([row(f"{number:020}", address="a street " * 5) for number in range(20_000)])
    begun: list[float] = []
    store._catalog.database._connection.set_trace_callback(
        lambda sql: begun.append(0.0) if sql.startswith("BEGIN") else None
    )
    store.save_rows(ONE, many, [])
    ((_, rows),) = await store.catalog()
    assert rows == many
    assert len(begun) > 5
    await store.close()


def test_slices_follow_what_the_last_one_took(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", migrations.STATE)
    database._slice = 1000
    database._adapt(10 * SLICE_SECONDS, 1000)
    assert database._slice == 50
    database._adapt(SLICE_SECONDS / 100, 10)  # the end of a write says nothing
    assert database._slice == 50
    database._adapt(SLICE_SECONDS / 4, 50)
    assert database._slice == 100
    asyncio.run(database.close())


async def test_a_full_queue_refuses_the_newest_and_says_who_loses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path / "x.db", migrations.STATE, limit=3)
    held, busy = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        held.wait(10)

    database._queue.put(hold)
    busy.wait(10)
    insert = "INSERT INTO mapping (upper, peer, name, shown) VALUES ('u', 'p', ?, ?)"
    with caplog.at_level(logging.ERROR):
        taken = [database.write(f"id {n}", (insert, [(str(n), str(n))])) for n in range(6)]
    assert taken == [True] * 3 + [False] * 3
    assert database.counters.refused == 3
    refused = [record for record in caplog.records if record.message == "store.write_refused"]
    assert [vars(record)["lost"] for record in refused] == ["id 3"]  # told once, then counted
    held.set()
    await database.flush()
    found = database.reading.execute("SELECT name FROM mapping ORDER BY made").fetchall()
    assert found == [("0",), ("1",), ("2",)]
    assert database.write("id 9", (insert, [("9", "9")]))
    await database.close()


def letter(number: int, to: str = BEYOND) -> Letter:
    alarm = Alarm(
        letter=number,
        source=ChannelId(ONE, PeerName("camera")),
        priority=1,
        method=5,
        time=Moment("2026-03-01T08:12:30"),
        description="门开",
        longitude=113.3612,
        kind=6,
        event=1,
    )
    return Letter(to=to, kept_at=5.5, alarm=alarm)


async def test_letters_come_back_in_the_order_of_keeping(store: Store) -> None:
    assert (await store.letters(), await store.taken()) == ([], [])
    late, early, above = letter(9), letter(3), letter(9, to="an upper")
    assert await store.keep([late, early, above], taken=[7])
    assert await store.keep([late], [early])
    assert (await store.letters(), await store.taken()) == ([late, above], [7])
    assert await store.keep((), [late], taken=[8])
    assert (await store.letters(), await store.taken()) == ([above], [7, 8])


async def test_a_letter_survives_the_machine_before_anybody_hears_that_it_is_kept(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    settings: list[str] = []
    store._state.database._connection.set_trace_callback(settings.append)
    assert await store.keep([letter(1)], [letter(2)], taken=[3])
    wanted = [each for each in settings if each.startswith(("PRAGMA", "BEGIN", "COMMIT"))]
    assert wanted == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE", "COMMIT"], "all or nothing"
    await store.close()


async def test_who_keeps_a_letter_hears_that_it_could_not_be(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store._state.database._connection.execute("PRAGMA query_only = ON")
    assert not await store.keep([letter(1)], taken=[3])
    store._state.database._connection.execute("PRAGMA query_only = OFF")
    assert (await store.letters(), await store.taken()) == ([], [])
    assert await store.keep([letter(2)])
    await store.close()


class Held:
    """The writer of a database, made to wait: what is queued meanwhile waits together."""

    def __init__(self, database: Database) -> None:
        self._go = threading.Event()
        self._busy = threading.Event()
        database._queue.put(self._hold)
        self._busy.wait(10)

    def _hold(self) -> None:
        self._busy.set()
        self._go.wait(10)

    def release(self) -> None:
        self._go.set()


async def test_a_dialog_and_the_ids_of_an_upper_survive_the_machine_and_what_is_told_again_need_not(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path)
    database = store._state.database
    settings: list[str] = []

    def note(sql: str) -> None:
        if sql.startswith("PRAGMA synchronous") or sql == "COMMIT":
            settings.append(sql.rpartition(" ")[2])

    database._connection.set_trace_callback(note)
    store.save_dialog(dialog("a"))
    await store.written()
    store.save_dialog(replace(dialog("b"), target="", request=b"INVITE"))
    await store.written()
    store.save_mapping(ONE, [("a", "1", "shown")])
    store.save_ring(ONE)
    store.drop_dialog("a", "ours")
    await store.flush()
    full, normal = ["FULL", "COMMIT"], ["NORMAL", "COMMIT"]
    assert settings == [*full, *normal, *full, *normal, "COMMIT"]
    assert database.counters.synced == 2
    await store.close()


async def test_dialogs_that_wait_together_wait_for_the_disk_once_and_nobody_hears_too_early(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path)
    database = store._state.database
    held = Held(database)
    written = []
    for number in range(40):
        store.save_dialog(dialog(f"{number:02}"))
        written.append(asyncio.ensure_future(store.written()))
        await asyncio.sleep(0)
    store.drop_dialog("07", "ours")
    store.save_ring(ONE)
    store.save_dialog(dialog("late"))
    assert not any(each.done() for each in written)
    held.release()
    await asyncio.gather(*written)
    assert await store.dialogs() == [dialog(f"{number:02}") for number in range(40) if number != 7] + [
        dialog("late")
    ]
    assert database.counters.synced == 2  # the first forty together; the last one stands behind a long write
    await store.close()


async def test_one_that_fails_among_those_that_wait_together_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path)
    database = store._state.database
    held = Held(database)
    store.save_dialog(dialog("a"))
    with caplog.at_level(logging.CRITICAL):
        database.write("nonsense", ("INSERT INTO nowhere VALUES (?)", [("1",)]), short=True)
        store.save_dialog(dialog("b"))
        held.release()
        assert await store.dialogs() == [dialog("a"), dialog("b")]
    assert (database.counters.failed, database.counters.written) == (1, 2)
    await store.close()


async def test_what_waits_when_the_store_is_closed_is_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    held = Held(store._state.database)
    for number in range(600):
        store.save_dialog(dialog(f"{number:03}"))
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    held.release()
    await closing
    found = SqliteStore(tmp_path)
    assert len(await found.dialogs()) == 600
    await found.close()


async def test_a_write_that_fails_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SqliteStore(tmp_path)
    database = store._state.database
    with caplog.at_level(logging.CRITICAL):
        database.write("nonsense", ("INSERT INTO nowhere VALUES (?)", [("1",)]))
        store.save_ring(ONE)
        assert await store.ring() == [ONE]
    assert (database.counters.failed, database.counters.written) == (1, 1)
    await store.close()


async def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer Lockgate"):
        SqliteStore(tmp_path)


async def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database, whatever its name says" * 50)
    with pytest.raises(StoreUnavailable, match="move it away"):
        SqliteStore(tmp_path)


async def test_files_are_migrated_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    first = Database(path, ["CREATE TABLE a (x)"])
    await first.close()
    second = Database(path, ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"])
    assert second.reading.execute("PRAGMA user_version").fetchone() == (2,)
    second.write("a row", ("INSERT INTO a VALUES (?, ?)", [(1, 2)]))
    await second.flush()
    assert second.reading.execute("SELECT * FROM a").fetchall() == [(1, 2)]
    await second.close()


async def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await Database(path, ["CREATE TABLE a (x)"]).close()
    with pytest.raises(StoreUnavailable):
        Database(path, ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()
