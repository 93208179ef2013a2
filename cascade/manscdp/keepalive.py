"""Keepalive on the wire (GB/T 28181-2016 A.2.5.2). It ends at whoever hears it, so it has no command."""

from collections.abc import Iterable
from dataclasses import dataclass

from cascade.errors import BadCommand
from cascade.manscdp import xml
from cascade.model.ids import PeerName


@dataclass(frozen=True, slots=True)
class Keepalive:
    """`ok` is False for any Status but OK: a fault to show, whose sender is there nevertheless (Q14).
    `faulty` are the broken children it lists."""

    device_id: PeerName
    ok: bool = True
    faulty: tuple[PeerName, ...] = ()


def read(body: bytes) -> Keepalive:
    """Read a whole Keepalive; its lease is renewed by the head alone.

    Raises:
        BadCommand: not a Keepalive, or no DeviceID.
    """
    root = xml.read_root(body)
    if xml.local_name(root) != "notify" or xml.text_of(root, "CmdType") != "Keepalive":
        raise BadCommand("not a Notify of Keepalive")
    try:
        device_id = PeerName(xml.text_of(root, "DeviceID"))
    except ValueError as error:
        raise BadCommand(f"DeviceID: {error}") from None
    listed = [
        child.text or "" for info in xml.children(root, "Info") for child in xml.children(info, "DeviceID")
    ]
    status = xml.text_of(root, "Status").upper()
    return Keepalive(device_id, ok=status in {"", "OK", "ON"}, faulty=tuple(_names(listed)))


def _names(texts: Iterable[str]) -> Iterable[PeerName]:
    for text in texts:
        try:
            yield PeerName(text)
        except ValueError:
            continue  # one unreadable child does not hide the others


def write(
    *, sn: int | str, device_id: str, ok: bool = True, faulty: Iterable[str] = (), charset: str = "GB2312"
) -> bytes:
    """A Keepalive of `device_id`, with its broken children if it has any."""
    info = "".join(xml.element("DeviceID", each) for each in faulty)
    return xml.write(
        "Notify",
        [
            xml.element("CmdType", "Keepalive"),
            xml.element("SN", str(sn)),
            xml.element("DeviceID", device_id),
            xml.element("Status", "OK" if ok else "ERROR"),
            *([f"<Info>\r\n{info}</Info>\r\n"] if info else []),
        ],
        charset=charset,
    )
