"""Catalog on the wire: the query, and answers page by page (GB/T 28181-2016 A.2.4.3, A.2.6.1).

Pages are read and written natively; the general reader takes over where a page holds markup that
the native scanner does not know.
"""

from collections.abc import Callable
from collections.abc import Mapping as Dictionary
from typing import Final, TypeVar

from lxml import etree

from cascade.errors import BadCommand
from cascade.manscdp import _native, xml
from cascade.manscdp._native import CatalogNotice, CatalogPage
from cascade.model.index import Changes, Mapping, Rows, Snapshot

T = TypeVar("T")

MAX_ITEMS: Final = 10_000
"""Of one page (GB/T 28181-2022 A.2.6.1)."""

MAX_ITEM_ELEMENTS: Final = 64

IN_ITEM: Final = {
    "deviceid": "id",
    "name": "name",
    "manufacturer": "manufacturer",
    "model": "model",
    "owner": "owner",
    "civilcode": "civil_code",
    "block": "block",
    "address": "address",
    "parental": "parental",
    "parentid": "parent_id",
    "safetyway": "safety_way",
    "registerway": "register_way",
    "secrecy": "secrecy",
    "status": "status",
    "longitude": "longitude",
    "latitude": "latitude",
}

IN_BOTH: Final = {
    "businessgroupid": "business_group_id",
    "ptztype": "ptz_type",
    "pointtype": "point_type",
    "roomtype": "room_type",
    "usetype": "use_type",
    "supplylighttype": "supply_light_type",
    "directiontype": "direction_type",
    "resolution": "resolution",
}
"""Found in `Info` or directly in the Item, by edition (Q30)."""


def write_query(*, sn: int | str, device_id: str, charset: str = "GB2312") -> bytes:
    """Ask for the catalog of `device_id`."""
    return xml.write(
        "Query",
        [xml.element("CmdType", "Catalog"), xml.element("SN", str(sn)), xml.element("DeviceID", device_id)],
        charset=charset,
    )


def read(body: bytes) -> CatalogPage:
    """Read one page of an answer (or a notice of changes).

    Raises:
        BadCommand: no such page, or beyond repair. No other exception leaves this function, whatever
            the bytes (tests/cascade/test_catalog_wire.py::test_any_bytes_are_a_page_or_blame_the_peer).
    """
    return _read(_native.scan_catalog, read_generally, body)


def read_notice(body: bytes) -> CatalogNotice:
    """Read a notice of changes.

    Raises:
        BadCommand: as `read`.
    """
    return _read(_native.scan_notice, _notice_generally, body)


def _read(scan: Callable[[bytes], T], generally: Callable[[bytes], T], body: bytes) -> T:
    """By the scanner, or by the general reader where that refuses; both are told of what neither can read."""
    try:
        return scan(body)
    except ValueError as refusal:
        try:
            return generally(body)
        except BadCommand as error:
            raise BadCommand(f"{error}; {refusal}") from None


def _notice_generally(body: bytes) -> CatalogNotice:
    """Written anew without what only the general reader knows, and read as any other."""
    root = xml.read_root(body)
    if xml.local_name(root) not in {"response", "notify"}:
        raise BadCommand("not a Catalog page")
    try:
        return _native.scan_notice(etree.tostring(root, encoding="utf-8"))
    except ValueError as refusal:
        raise BadCommand(str(refusal)) from None


def read_generally(body: bytes) -> CatalogPage:
    """As `read`, by the general reader: slow, knows comments and CDATA, repairs less.

    Raises:
        BadCommand: as `read`.
    """
    root = xml.read_root(body)
    if xml.local_name(root) not in {"response", "notify"} or xml.text_of(root, "CmdType") != "Catalog":
        raise BadCommand("not a Catalog page")
    head = _native.head(body)
    sn, device_id = xml.text_of(root, "SN"), xml.text_of(root, "DeviceID")
    if head is None or (sn, device_id) != (head.sn, head.device_id):
        raise BadCommand("a page whose head is another's")
    lists = xml.children(root, "DeviceList")
    items = [item for each in lists for item in xml.children(each, "Item")]
    if len(items) > MAX_ITEMS:
        raise BadCommand("more than 10,000 items")
    kept = [_texts(item) for item in items if sum(1 for _ in item.iter()) <= MAX_ITEM_ELEMENTS + 1]
    rows, dropped = _native.clean(kept)
    return CatalogPage(
        sn=sn,
        device_id=device_id,
        sum_num=_claim(xml.text_of(root, "SumNum")),
        num=_claim(_attribute(lists[0], "num")) if lists else None,
        rows=rows,
        replaced=_native.decode(body)[1],
        dropped=dropped + len(items) - len(kept),
    )


def _texts(item: etree._Element) -> dict[str, str]:
    """Texts of an Item by field; the first of repeated elements counts."""
    direct = _first_texts([item])
    info = _first_texts(xml.children(item, "Info"))
    texts = {field: direct.get(tag, "") for tag, field in IN_ITEM.items()}
    for tag, field in IN_BOTH.items():
        places = (info, direct) if field == "ptz_type" else (direct, info)
        texts[field] = places[0].get(tag) or places[1].get(tag, "")
    return texts


def _first_texts(elements: list[etree._Element]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for element in elements:
        for each in element:
            texts.setdefault(xml.local_name(each), (each.text or "").strip())
    return texts


def _attribute(element: etree._Element, name: str) -> str:
    found = (str(value) for key, value in element.attrib.items() if str(key).lower() == name)
    return next(found, "").strip()


def _claim(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def write_catalog(
    snapshot: Snapshot,
    mapping: Mapping,
    start: int,
    *,
    sn: int | str,
    device_id: str,
    own: Dictionary[str, str],
    charset: str = "GB2312",
    max_bytes: int = 1300,
    max_items: int = 4,
) -> tuple[bytes, int]:
    """One page of our answer to an upper platform, and the number of the next item.

    Item 0 is our own system (`own`, by the names of the fields), item n row n - 1 of `snapshot`;
    `SumNum` is the number of items of the whole answer. Ids are those of `mapping`, parents the nearest
    ancestor that it shows. A page holds one item at least, however long.
    """
    return _native.write_catalog(
        snapshot,
        mapping,
        start,
        sn=int(sn),
        device_id=device_id,
        own=dict(own),
        charset=charset,
        max_bytes=max_bytes,
        max_items=max_items,
    )


def write_page(
    rows: Rows,
    start: int = 0,
    *,
    sn: int | str,
    device_id: str,
    charset: str = "GB2312",
    max_bytes: int = 1300,
    max_items: int = 4,
) -> tuple[bytes, int]:
    """One page of `rows` as they stand, and the number of the next row: what a device says of itself."""
    return _native.write_rows(
        rows,
        start,
        sn=int(sn),
        device_id=device_id,
        charset=charset,
        max_bytes=max_bytes,
        max_items=max_items,
    )


def write_changes(
    changes: Changes,
    mapping: Mapping,
    start: int = 0,
    *,
    sn: int | str,
    device_id: str,
    civil_code: str,
    charset: str = "GB2312",
    max_bytes: int = 1300,
    max_items: int = 4,
) -> tuple[bytes, int]:
    """One notice to whoever subscribed for `device_id`, and the number of the next change (A.2.5.7).

    `SumNum` is the number of its own items. One of no changes is sent too: it says that all is well.
    """
    return _native.write_changes(
        changes,
        mapping,
        start,
        sn=int(sn),
        device_id=device_id,
        civil_code=civil_code,
        charset=charset,
        max_bytes=max_bytes,
        max_items=max_items,
    )
