"""The simulators' own reading and writing, against the product's: two programs, one wire."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import sdp as product_sdp
from cascade.manscdp import catalog as product_catalog
from cascade.manscdp import heads
from cascade.model.index import Rows
from interop.sim import sdp, xml
from interop.sim.catalog import sample_tree
from interop.sim.sdp import Description

OWNER = "44010600002000000001"
TEXT = st.text(st.characters(codec="gb18030", exclude_categories=("Cc", "Cs")), max_size=40).map(str.strip)
PORTS = st.integers(1, 65_535)
SSRCS = st.none() | st.integers(0, 0xFFFF_FFFF)


@settings(deadline=None)
@given(st.sampled_from(["GB2312", "GB18030", "UTF-8"]), st.dictionaries(st.sampled_from("ABCDE"), TEXT))
def test_what_is_written_is_read_back(charset: str, fields: dict[str, str]) -> None:
    rest = xml.elements(list(fields.items()))
    message = xml.read(xml.write("Response", "DeviceInfo", 7, OWNER, rest, charset=charset))
    assert message is not None
    assert (message.root, message.cmd_type, message.sn, message.device_id) == (
        "Response",
        "DeviceInfo",
        "7",
        OWNER,
    )
    assert {tag: message.text(tag) for tag in fields} == fields


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=80).map(b"<?xml version='1.0'?><Query>".__add__))
def test_any_bytes_are_a_message_or_none(body: bytes) -> None:
    xml.read(body)


def test_entities_are_not_read() -> None:
    body = (
        b'<!DOCTYPE x [<!ENTITY a "b">]><Query><CmdType>&a;</CmdType><SN>1</SN><DeviceID>1</DeviceID></Query>'
    )
    assert xml.read(body) is None


def test_the_product_reads_our_pages_row_by_row() -> None:
    tree = sample_tree(OWNER, "县 & <级>", 5, branches=("道路",))
    items = tree.items(OWNER)
    assert items is not None
    count = xml.elements([("SumNum", str(len(items)))])
    body = xml.write("Response", "Catalog", 3, OWNER, count + xml.device_list(items), charset="GB2312")
    page = product_catalog.read(body)
    rows = [page.rows.get(index) for index in range(len(page.rows))]
    assert (page.sn, page.sum_num, page.num, page.repaired, page.dropped) == ("3", 8, 8, 0, 0)
    assert [row["id"] for row in rows] == [
        OWNER,
        *(b.id for b in tree.branches),
        *(c.id for c in tree.cameras),
    ]
    assert rows[0]["name"] == "县 & <级>"
    assert rows[-1]["parent_id"] == f"{OWNER}/{tree.branches[1].id}"
    assert rows[-1]["business_group_id"] == tree.branches[0].id
    (head,) = heads([body])
    assert head is not None
    assert (head.root, head.cmd_type, head.sn, head.device_id) == ("Response", "Catalog", "3", OWNER)


def test_we_read_the_products_pages_item_by_item() -> None:
    rows = Rows.build(
        [
            {"id": "44010600001320000001", "name": "东门", "status": "ON", "resolution": "6"},
            {"id": "44010600001320000002", "name": "a & <b>", "status": "OFF"},
        ]
    )
    body, following = product_catalog.write_page(rows, sn=9, device_id=OWNER)
    assert following == 2
    message = xml.read(body)
    assert message is not None
    assert (message.cmd_type, message.sn, message.text("SumNum")) == ("Catalog", "9", "2")
    found = [(item["DeviceID"], item["Name"], item["Status"]) for item in xml.items(message)]
    assert found == [
        ("44010600001320000001", "东门", "ON"),
        ("44010600001320000002", "a & <b>", "OFF"),
    ]


@settings(deadline=None)
@given(PORTS, SSRCS)
def test_the_product_reads_our_offer_and_answer(port: int, ssrc: int | None) -> None:
    offer = product_sdp.read_offer(sdp.write(Description(OWNER, "192.0.2.7", port, ssrc=ssrc)))
    assert (offer.host, offer.port, offer.ssrc, offer.session_name) == ("192.0.2.7", port, ssrc, "Play")
    assert offer.payload_type_of(product_sdp.PS) == 96
    answer = product_sdp.read_answer(
        sdp.write(
            Description(
                OWNER,
                "192.0.2.8",
                port,
                direction="sendonly",
                ssrc=ssrc,
                media_format="v/2/5/25/1/1000a///",
            )
        )
    )
    assert (answer.host, answer.port, answer.ssrc) == ("192.0.2.8", port, ssrc)
    assert answer.description == "v/2/5/25/1/1000a///"


@settings(deadline=None)
@given(PORTS, SSRCS)
def test_we_read_the_products_offer(port: int, ssrc: int | None) -> None:
    written = product_sdp.write_offer(
        product_sdp.MediaOffer(host="192.0.2.7", port=port, ssrc=ssrc), user=OWNER
    )
    offer = sdp.read(written)
    assert offer is not None
    assert (offer.owner, offer.host, offer.port, offer.ssrc) == (OWNER, "192.0.2.7", port, ssrc)
    assert (offer.payload_type, offer.protocol, offer.direction) == (96, "RTP/AVP", "recvonly")


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: f"c=IN IP4 {text}\nm={text}".encode()))
def test_any_bytes_are_a_description_or_none(body: bytes) -> None:
    sdp.read(body)


WELL = "c=IN IP4 192.0.2.7\nm=video 30000 RTP/AVP 96\na=rtpmap:96 PS/90000\ny=0100000001\n"


@pytest.mark.parametrize(
    ("well", "ill"),
    [
        ("192.0.2.7", "camera.example"),
        ("30000", "0"),
        ("30000", "65536"),
        (" 96\n", " 128\n"),
        ("0100000001", "4294967296"),
        ("c=IN IP4 192.0.2.7\n", ""),
    ],
)
def test_a_description_with_an_impossible_value_is_none(well: str, ill: str) -> None:
    assert sdp.read(WELL.encode()) is not None
    assert sdp.read(WELL.replace(well, ill).encode()) is None
