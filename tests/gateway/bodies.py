"""What platforms by hand say: catalog pages, descriptions of media, packets; odd where a test wants it."""

from typing import Final

from tests.gateway.world import LOWER_ID, UPPER_ID

HAND_LOWER: Final = ("203.0.113.31", 5060)
HAND_UPPER: Final = ("198.51.100.11", 5060)
CAMERAS: Final = tuple(f"4401060000132000{number:04d}" for number in range(1, 4))
GROUP: Final = "44010600002150000001"
ORGANISATION: Final = "44010600002160000001"


def page(sn: str, sum_num: int | str, *items: str, num: int | str | None = None) -> bytes:
    listed = f'<DeviceList Num="{len(items) if num is None else num}">{"".join(items)}</DeviceList>'
    return (
        '<?xml version="1.0" encoding="GB2312"?>\r\n<Response>\r\n<CmdType>Catalog</CmdType>\r\n'
        f"<SN>{sn}</SN>\r\n<DeviceID>{LOWER_ID}</DeviceID>\r\n<SumNum>{sum_num}</SumNum>\r\n"
        f"{listed if items else ''}\r\n</Response>\r\n"
    ).encode("gb18030")


def item(name: str, more: str = "<Status>ON</Status>", *, called: str = "Gate") -> str:
    return f"<Item><DeviceID>{name}</DeviceID><Name>{called}</Name>{more}</Item>\r\n"


def offer(
    *lines: str,
    host: str = HAND_UPPER[0],
    port: int = 20_000,
    y: str | None = "0100000001",
    end: str = "\r\n",
) -> bytes:
    """What an upper platform wants; `lines` replace everything from `c=` on."""
    usual = (f"c=IN IP4 {host}", "t=0 0", f"m=video {port} RTP/AVP 96", "a=recvonly", "a=rtpmap:96 PS/90000")
    numbered = (f"y={y}",) if y is not None else ()
    rest = lines or (*usual, *numbered)
    return end.join(["v=0", f"o={UPPER_ID} 0 0 IN IP4 {host}", "s=Play", *rest, ""]).encode()


def answer(
    *lines: str, host: str = HAND_LOWER[0], port: int = 30_000, y: str | None = None, end: str = "\r\n"
) -> bytes:
    """What a camera promises; `lines` replace everything from `c=` on."""
    usual = (f"c=IN IP4 {host}", "t=0 0", f"m=video {port} RTP/AVP 96", "a=sendonly", "a=rtpmap:96 PS/90000")
    numbered = (f"y={y}",) if y is not None else ()
    rest = lines or (*usual, *numbered)
    return end.join(["v=0", f"o={LOWER_ID} 0 0 IN IP4 {host}", "s=Play", *rest, ""]).encode()
