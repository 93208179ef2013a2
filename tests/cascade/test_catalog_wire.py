import contextlib
import re
from collections.abc import Mapping as Dictionary
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cascade.errors import BadCommand
from cascade.manscdp import CatalogPage, catalog, head
from cascade.manscdp._native import decode, scan_catalog
from cascade.model.index import Index, Mapping, Rows, Snapshot
from sip.errors import PeerError
from tests.cascade.vectors import Vector, vectors

OWN = "44010000002000000001"
NVR = "44010600001180000001"
CAMERA = "44010600001320000001"

IDS = st.from_regex(r"4401060000(132|118|200|215|216)0[0-9]{6}", fullmatch=True) | st.sampled_from(
    ["4401", "cam-1"]
)
TEXTS = st.text(st.characters(codec="gb2312", exclude_categories=["Cc", "Zs"]), max_size=20)
WORDS = TEXTS.filter(
    lambda text: text.lower() != "null" and text not in {"Owner", "Address", "Block", "Model"}
)
DIGITS = st.sampled_from(["", "0", "1", "2"])
ROWS = st.fixed_dictionaries(
    {
        "id": IDS,
        "name": WORDS,
        "manufacturer": WORDS,
        "owner": WORDS,
        "address": WORDS,
        "civil_code": st.sampled_from(["", "44", "440106"]),
        "parental": DIGITS,
        "parent_id": st.sampled_from(["", NVR, f"{NVR}/44010600002160000001"]),
        "status": st.sampled_from(["", "ON", "OFF"]),
        "ptz_type": st.sampled_from(["", "1", "1/2"]),
        "room_type": DIGITS,
        "resolution": st.sampled_from(["", "6/5"]),
        "business_group_id": st.sampled_from(["", "44010600002150000001"]),
    }
)


def facts(page: CatalogPage) -> dict[str, Any]:
    return {
        "sn": page.sn,
        "device_id": page.device_id,
        "sum_num": page.sum_num,
        "num": page.num,
        "rows": dicts(page.rows),
        "repaired": page.repaired,
        "replaced": page.replaced,
        "dropped": page.dropped,
    }


def dicts(rows: Rows) -> list[dict[str, str]]:
    return [rows.get(number) for number in range(len(rows))]


@vectors("catalog")
def test_pages_are_read_as_the_vectors_say(vector: Vector) -> None:
    if vector.refused:
        with pytest.raises(BadCommand):
            catalog.read(vector.body)
        return
    assert facts(catalog.read(vector.body)) == vector.expected


@vectors("catalog")
def test_both_readers_agree_on_what_is_well_formed(vector: Vector) -> None:
    with contextlib.suppress(ValueError, BadCommand):
        native = scan_catalog(vector.body)
        if not native.repaired:
            assert facts(catalog.read_generally(vector.body)) == facts(native)


PAGE = """<?xml version="1.0"?>
<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>{}</DeviceID><SumNum>1</SumNum>
<DeviceList Num="1"><Item><DeviceID>{}</DeviceID><Name>门{}</Name></Item>{}</DeviceList></Response>"""
NOISE = [
    "<Item>",
    "</Item>",
    "<Name>",
    "</Name>",
    "<DeviceID>",
    "</DeviceID>",
    "1",
    "<a/>",
    "&amp;",
    "&",
    "<Info>",
]
NOISE += [
    "</Info>",
    "<",
    ">",
    "/",
    "\x01",
    "]]>",
    "<!--",
    "-->",
    "<![CDATA[",
    "</DeviceList>",
    "a='1'",
    "门",
    "&#38;",
]
BROKEN = st.lists(st.sampled_from(NOISE), max_size=14).map("".join)


@given(BROKEN, BROKEN)
@example("", "<Item><DeviceID>1</DeviceID><Name>a<b></Name></Item>")
def test_pages_with_noise_are_pages_or_blame_the_peer(inside: str, behind: str) -> None:
    body = PAGE.format(NVR, CAMERA, inside, behind).encode()
    with contextlib.suppress(PeerError):
        page = catalog.read(body)
        assert (page.sn, page.device_id) == ("1", NVR)
        if not page.repaired and "<!" not in inside + behind:
            assert facts(catalog.read_generally(body)) == facts(page)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_page_or_blame_the_peer(body: bytes) -> None:
    with contextlib.suppress(PeerError):
        catalog.read(body)


@given(st.lists(ROWS, max_size=12), st.sampled_from(["GB2312", "GB18030", "UTF-8"]), st.integers(1, 5))
def test_written_pages_are_read_back(rows: list[dict[str, str]], charset: str, most: int) -> None:
    written = Rows.build(rows)
    read: list[dict[str, str]] = []
    start = 0
    while True:
        body, start = catalog.write_page(
            written, start, sn=7, device_id=NVR, charset=charset, max_bytes=800, max_items=most
        )
        assume(decode(body)[0] == body.decode(charset.replace("GB2312", "GB18030")))  # else Q24's tie
        page = catalog.read(body)
        assert facts(catalog.read_generally(body)) == facts(page)
        assert (page.sn, page.device_id, page.sum_num) == ("7", NVR, len(rows))
        assert (page.repaired, page.replaced, page.dropped) == (0, 0, 0)
        assert len(page.rows) <= most
        assert len(body) <= 800 or len(page.rows) == 1
        read += dicts(page.rows)
        if start >= len(rows):
            break
    assert read == dicts(written)


def shared(rows: list[dict[str, str]], own_id: str = OWN) -> tuple[Snapshot, Mapping]:
    index = Index()
    index.apply("lower", Rows.build(rows), complete=True)
    snapshot, mapping = index.snapshot(), Mapping(own_id, [])
    mapping.assign(snapshot)
    return snapshot, mapping


def answer(
    snapshot: Snapshot, mapping: Mapping, *, max_bytes: int = 1300, max_items: int = 4
) -> list[dict[str, str]]:
    """Write the whole answer page by page and read it back."""
    read: list[dict[str, str]] = []
    start = 0
    while start < len(snapshot) + 1:
        body, following = catalog.write_catalog(
            snapshot,
            mapping,
            start,
            sn="900",
            device_id=OWN,
            own={"id": OWN, "name": "关口", "civil_code": "440100"},
            max_bytes=max_bytes,
            max_items=max_items,
        )
        page = catalog.read(body)
        assert (page.sn, page.sum_num, page.dropped, page.repaired) == ("900", len(snapshot) + 1, 0, 0)
        assert page.num == len(page.rows)
        assert following > start
        start = following
        read += dicts(page.rows)
    return read


def shown(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    found = answer(*shared(rows))
    return {row["id"]: row for row in found}


MANDATORY: Dictionary[str, str] = {
    "manufacturer": "Unknown",
    "model": "Unknown",
    "owner": "0",
    "civil_code": "440106",
    "address": "Unknown",
    "parental": "0",
    "safety_way": "0",
    "register_way": "1",
    "secrecy": "0",
    "status": "ON",
}


def test_our_own_system_comes_first_and_has_no_parent() -> None:
    first = answer(*shared([{"id": CAMERA}]))[0]
    assert first == {**MANDATORY, "id": OWN, "name": "关口", "civil_code": "440100", "parental": "1"}


def test_what_readers_choke_without_is_filled_in() -> None:
    assert shown([{"id": CAMERA}])[CAMERA] == {**MANDATORY, "id": CAMERA, "name": CAMERA, "parent_id": OWN}
    told = {**MANDATORY, "id": CAMERA, "name": "门", "manufacturer": "M", "owner": "O", "status": "OFF"}
    assert shown([told])[CAMERA] == {**told, "parent_id": OWN}
    assert shown([{"id": CAMERA, "manufacturer": "M"}])[CAMERA]["owner"] == "M"


def test_a_parent_is_the_nearest_that_is_shown() -> None:
    rows = [{"id": NVR}, {"id": CAMERA, "parent_id": NVR}]
    assert shown(rows)[CAMERA]["parent_id"] == NVR
    assert shown(rows[1:])[CAMERA]["parent_id"] == OWN
    assert shown([{"id": CAMERA, "parent_id": CAMERA}])[CAMERA]["parent_id"] == OWN  # Q26


def test_what_is_in_an_organisation_names_it_behind_its_parent() -> None:
    group, road, crossing = "44010600002150000001", "44010600002160000001", "44010600002160000002"
    found = shown(
        [
            {"id": group, "name": "G", "parent_id": "44010600002000000009"},
            {"id": road, "name": "R", "business_group_id": group, "parent_id": group},
            {"id": crossing, "name": "C", "business_group_id": group, "parent_id": road},
            {"id": NVR, "parent_id": road, "business_group_id": group},
            {"id": CAMERA, "parent_id": f"{NVR}/{crossing}"},
        ]
    )
    assert found[group] == {"id": group, "name": "G", "civil_code": "440106", "parent_id": OWN}
    assert found[road] == {"id": road, "name": "R", "civil_code": "440106", "business_group_id": group}
    assert found[crossing]["parent_id"] == road
    assert found[NVR]["parent_id"] == f"{OWN}/{road}"
    assert found[CAMERA]["parent_id"] == f"{NVR}/{crossing}"


def test_a_division_is_its_code_and_name() -> None:
    assert shown([{"id": "440106", "name": "天河", "status": "ON", "parent_id": "4401"}])["440106"] == {
        "id": "440106",
        "name": "天河",
    }


def test_names_that_are_no_ids_are_mapped_everywhere() -> None:
    rows = answer(*shared([{"id": "nvr"}, {"id": "cam", "parent_id": "nvr"}]))
    mapped = {row["name"]: row for row in rows}
    assert re.fullmatch(r"44010000\d{12}", mapped["关口"]["id"])
    parents = {row["parent_id"] for row in rows[1:]}
    assert parents <= {row["id"] for row in rows}
    assert "nvr" not in parents


def test_nothing_that_a_device_is_reached_by_is_written() -> None:
    page = PAGE.format(NVR, CAMERA, "", "").replace(
        "</Name>", "</Name><IPAddress>192.0.2.77</IPAddress><Port>5077</Port><Password>secret</Password>"
    )
    index = Index()
    index.apply("lower", catalog.read(page.encode()).rows, complete=True)
    snapshot, mapping = index.snapshot(), Mapping(OWN, [])
    mapping.assign(snapshot)
    body, _ = catalog.write_catalog(snapshot, mapping, 0, sn=1, device_id=OWN, own={})
    assert b"<Name>" in body
    for word in (b"192.0.2.77", b"5077", b"secret", b"Password", b"IPAddress", b"Port>"):
        assert word not in body


def test_pages_are_cut_by_bytes_and_by_items() -> None:
    rows = [{"id": f"4401060000132{number:07d}", "name": "门" * 20} for number in range(50)]
    snapshot, mapping = shared(rows)
    for most_bytes, most_items in [(1300, 4), (1300, 100), (100, 4), (60_000, 100)]:
        start = 0
        while start < 51:
            body, following = catalog.write_catalog(
                snapshot,
                mapping,
                start,
                sn=1,
                device_id=OWN,
                own={},
                max_bytes=most_bytes,
                max_items=most_items,
            )
            assert len(body) <= most_bytes or following == start + 1
            assert following - start <= most_items
            start = following
    assert len(answer(snapshot, mapping, max_bytes=1300, max_items=4)) == 51


def test_a_hostile_row_still_fits_a_datagram() -> None:
    fields = ["name", "manufacturer", "model", "owner", "block", "address", "resolution", "parent_id"]
    snapshot, mapping = shared([{"id": CAMERA, **dict.fromkeys(fields, "&" * 4000)}])
    body, _ = catalog.write_catalog(snapshot, mapping, 1, sn=1, device_id=OWN, own={})
    assert len(body) < 16_000


def test_a_query_is_read_by_its_head() -> None:
    body = catalog.write_query(sn=17430, device_id=NVR)
    found = head(body)
    assert found is not None
    assert (found.root, found.cmd_type, found.sn, found.device_id) == ("Query", "Catalog", "17430", NVR)


def test_ten_thousand_items_are_a_page_and_more_are_not() -> None:
    item = f"<Item><DeviceID>{CAMERA}</DeviceID></Item>"
    whole = PAGE.format(NVR, CAMERA, "", item * 9_999).encode()
    assert len(scan_catalog(whole).rows) == 10_000
    more = scan_catalog(PAGE.format(NVR, CAMERA, "", item * 10_000).encode())
    assert (len(more.rows), more.dropped) == (10_000, 1)
