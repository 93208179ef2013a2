"""Long lists read piece by piece: the same rows, a bounded piece, and nobody waits for another's."""

import asyncio
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.as_upper.hearing import TURN_BYTES, Hearing
from cascade.deviations import Deviations
from cascade.errors import BadCommand
from cascade.limits import USUAL
from cascade.manscdp import Head, catalog, heads
from cascade.manscdp.pieces import HEAD_BYTES, PIECE_BYTES, pieces
from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer
from tests.cascade.lowers import lower
from tests.clock import run

LOWER = PlatformId("44010600002000000001")
OTHER = PlatformId("44010600002000000002")


def body(items: int, padding: int = 0, *, item: str = "Item", encoding: str = "GB18030") -> bytes:
    """A catalog answer of so many items, each with so many characters in its address."""
    listed = "".join(
        f"<{item}><DeviceID>4401060000132{number:07d}</DeviceID><Name>路口{number}</Name>"
        f"<Address>{'路' * padding}</Address><ParentID>{LOWER}</ParentID></{item}>\r\n"
        for number in range(items)
    )
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>\r\n<Response>\r\n<CmdType>Catalog</CmdType><SN>17</SN>'
        f"<DeviceID>{LOWER}</DeviceID><SumNum>{items}</SumNum>\r\n"
        f'<DeviceList Num="{items}">\r\n{listed}</DeviceList>\r\n</Response>\r\n'
    )
    return text.encode(encoding)


def ids(page: bytes) -> list[str]:
    return list(catalog.read(page).rows.ids())


@given(st.integers(0, 60), st.integers(0, 40), st.integers(400, 4000), st.sampled_from(["GB18030", "UTF-8"]))
def test_the_pieces_hold_the_rows_of_the_whole_in_its_order(
    items: int, padding: int, size: int, encoding: str
) -> None:
    whole = body(items, padding, encoding=encoding)
    parts = list(pieces(whole, size))
    if len(parts) == 1:
        assert parts == [whole]
    assert [row for part in parts for row in ids(part)] == ids(whole)
    for part in parts:
        page = catalog.read(part)
        assert (page.sn, page.sum_num, page.repaired, page.dropped) == ("17", items, 0, 0)
        assert len(part) <= 2 * size + 300


def test_16_mib_are_cut_into_pieces_of_which_none_is_long() -> None:
    whole = body(10_000, 800)
    assert 15 << 20 < len(whole) <= 17 << 20
    longest = max(len(part) for part in pieces(whole))
    assert longest <= 2 * PIECE_BYTES + HEAD_BYTES


@pytest.mark.parametrize("item", ["ITEM", "item"])
def test_names_are_as_the_peer_spells_them(item: str) -> None:
    whole = body(3000, 50, item=item)
    assert sum(len(ids(part)) for part in pieces(whole)) == 3000


@pytest.mark.parametrize(
    "long",
    [
        b"x" * (1 << 20),
        body(5000).replace(b"<DeviceList", b"<Things").replace(b"</DeviceList", b"</Things"),
        body(5000).replace(b"</Item>", b"</ITEM>").replace(b"</ITEM>", b"</Item>", 1),
        b"<Response>" + b" " * HEAD_BYTES + body(5000),
    ],
    ids=["no list", "another list", "items end otherwise", "a long beginning"],
)
def test_what_cannot_be_cut_is_refused_and_not_read_in_one_go(long: bytes) -> None:
    with pytest.raises(BadCommand):
        list(pieces(long))


class Written:
    """In place of catalogs and questions: what was read, and in which turn of the loop."""

    def __init__(self) -> None:
        self.turn = 0
        self.read: list[tuple[int, PlatformId, int]] = []

    def take(self, peer: PlatformId, _head: Head, body: bytes) -> None:
        self.read.append((self.turn, peer, len(body)))

    def notified(self, peer: LowerPeer, body: bytes) -> None:
        self.read.append((self.turn, peer.id, len(body)))


def hearing(written: Written, counts: Counter[str]) -> Hearing:
    return Hearing(
        catalogs=cast("Any", written),
        asker=cast("Any", written),
        deviations=Deviations(),
        loop=asyncio.get_running_loop(),
        counts=counts,
        plan=lambda: None,
    )


def peer(id: PlatformId) -> LowerPeer:
    return lower(id, networks=("0.0.0.0/0",), media_networks=("0.0.0.0/0",), domain=id[:10])


def head_of(page: bytes) -> Head:
    (head,) = heads([page])
    assert head is not None
    return head


@pytest.mark.parametrize("notice", [False, True])
def test_no_turn_reads_more_than_a_piece_or_two_and_other_peers_come_between(notice: bool) -> None:
    written = Written()

    async def scenario() -> None:
        heard = hearing(written, Counter())
        large, small = body(10_000, 800), body(1)
        heard.take(peer(LOWER), head_of(large), large, notice=notice)
        for _ in range(3):
            heard.take(peer(OTHER), head_of(small), small)
        for written.turn in range(1, 200):
            await asyncio.sleep(0)

    run(scenario())
    turns = Counter[int]()
    for turn, _, length in written.read:
        turns[turn] += length
    assert max(turns.values()) <= TURN_BYTES + 2 * PIECE_BYTES + HEAD_BYTES
    assert len(turns) > 50
    others = [turn for turn, who, _ in written.read if who == OTHER]
    assert others == sorted(others)
    assert len(others) == 3
    assert others[-1] - written.read[0][0] <= 3


def test_what_waits_to_be_read_is_bounded_and_counted() -> None:
    counts: Counter[str] = Counter()
    written = Written()

    async def scenario() -> None:
        heard = hearing(written, counts)
        large = body(10_000, 800)
        for _ in range(6):
            heard.take(peer(LOWER), head_of(large), large)
        assert counts["responses_too_many"] == 6 - USUAL.unread_bytes // len(large)
        while not written.read or written.turn - written.read[-1][0] < 3:
            written.turn += 1
            await asyncio.sleep(0)
        heard.take(peer(LOWER), head_of(large), large)  # there is room again
        assert counts["responses_too_many"] == 6 - USUAL.unread_bytes // len(large)

    run(scenario())
