"""MPEG program stream of H.264 or of a voice, a frame at a time (ISO/IEC 13818-1 2.5, GB/T 28181-2016 C.2.1).

A frame is one pack: pack header, before key frames a system header and a program stream map, then
the access unit in as many PES packets as its size asks for, only the first with time stamps.
"""

from dataclasses import dataclass
from typing import Final

CLOCK_RATE: Final = 90_000
"""Ticks of PTS, DTS and RTP timestamps per second."""

MAX_PES_PAYLOAD: Final = 0xFF80
"""Bytes of an access unit in one PES packet; its 16-bit length also counts the PES header."""

_PTS_MASK: Final = (1 << 33) - 1
_PACK: Final = 0xBA
_SYSTEM: Final = 0xBB
_MAP: Final = 0xBC
_END: Final = 0xB9
_VIDEO: Final = range(0xE0, 0xF0)
_AUDIO: Final = range(0xC0, 0xE0)
_H264: Final = 0x1B
_G711A: Final = 0x90
_MUX_RATE: Final = 50_000  # units of 50 bytes/s: 20 Mbit/s, a bound no test picture reaches


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture, H.264 in Annex B form. `pts` and `dts` in 90 kHz ticks, None where unknown."""

    data: bytes
    pts: int | None
    dts: int | None = None  # None: equal to pts
    key: bool = False
    damaged: bool = False  # part of it is missing, or bytes between its packets made no sense


def _crc32_mpeg(data: bytes) -> int:
    """CRC of ISO/IEC 13818-1 annex A: polynomial 04C11DB7, not reflected, start all ones."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
        crc &= 0xFFFFFFFF
    return crc


def _system_header(stream: int, bound: int, audio: int, video: int) -> bytes:
    """Of one elementary stream; `bound` is how its buffer is bounded, in 13 bits and their scale."""
    rate = (1 << 23) | (_MUX_RATE << 1) | 1
    body = (
        rate.to_bytes(3, "big") + bytes((audio << 2, 0xE0 | video, 0x7F, stream)) + bound.to_bytes(2, "big")
    )
    return b"\x00\x00\x01\xbb" + len(body).to_bytes(2, "big") + body


def _stream_map(kind: int, stream: int) -> bytes:
    entry = bytes((kind, stream, 0x00, 0x00))
    body = bytes((0xE0, 0xFF, 0x00, 0x00)) + len(entry).to_bytes(2, "big") + entry
    head = b"\x00\x00\x01\xbc" + (len(body) + 4).to_bytes(2, "big") + body
    return head + _crc32_mpeg(head).to_bytes(4, "big")


_BEFORE_KEY_FRAMES: Final = _system_header(0xE0, 0xE400, 0, 1) + _stream_map(_H264, 0xE0)
_BEFORE_VOICE: Final = _system_header(0xC0, 0xC020, 1, 0) + _stream_map(_G711A, 0xC0)


def _pack_header(clock: int) -> bytes:
    """`clock`: system clock reference in 90 kHz ticks (33 bits); its 27 MHz extension is zero."""
    high, middle, low = clock >> 30 & 0x7, clock >> 15 & 0x7FFF, clock & 0x7FFF
    scr = 1 << 46 | high << 43 | 1 << 42 | middle << 27 | 1 << 26 | low << 11 | 1 << 10 | 1
    rate = _MUX_RATE << 2 | 3
    return b"\x00\x00\x01\xba" + scr.to_bytes(6, "big") + rate.to_bytes(3, "big") + b"\xf8"


def _time_stamp(mark: int, ticks: int) -> bytes:
    high, middle, low = ticks >> 30 & 0x7, ticks >> 15 & 0x7FFF, ticks & 0x7FFF
    return (mark << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1).to_bytes(5, "big")


def _pes(payload: bytes, stamps: bytes, flags: int, stream: int = 0xE0) -> bytes:
    length = 3 + len(stamps) + len(payload)
    align = 0x84 if stamps else 0x80
    head = b"\x00\x00\x01" + bytes((stream,)) + length.to_bytes(2, "big")
    head += bytes((align, flags, len(stamps)))
    return head + stamps + payload


def mux(unit: AccessUnit) -> bytes:
    """The whole pack of one picture. The unit needs a `pts`; the pack clock is its decoding time."""
    if unit.pts is None:
        raise ValueError("a picture without time can't be muxed")
    pts = unit.pts & _PTS_MASK
    dts = pts if unit.dts is None else unit.dts & _PTS_MASK
    if dts == pts:
        flags, stamps = 0x80, _time_stamp(0x2, pts)
    else:
        flags, stamps = 0xC0, _time_stamp(0x3, pts) + _time_stamp(0x1, dts)
    parts = [_pack_header(dts)]
    if unit.key:
        parts.append(_BEFORE_KEY_FRAMES)
    parts.append(_pes(unit.data[:MAX_PES_PAYLOAD], stamps, flags))
    for start in range(MAX_PES_PAYLOAD, len(unit.data), MAX_PES_PAYLOAD):
        parts.append(_pes(unit.data[start : start + MAX_PES_PAYLOAD], b"", 0x00))
    return b"".join(parts)


def mux_voice(voice: bytes, ticks: int, *, first: bool) -> bytes:
    """The pack of some G.711 A; the `first` one, and one now and then, says what the stream holds."""
    stamps = _time_stamp(0x2, ticks & _PTS_MASK)
    before = _BEFORE_VOICE if first else b""
    return _pack_header(ticks & _PTS_MASK) + before + _pes(voice, stamps, 0x80, 0xC0)


def demux_voice(packs: bytes) -> bytes:
    """What the audio packets of whole packs hold, end to end; b"" where there are none."""
    parts = []
    at = 0
    while (at := packs.find(b"\x00\x00\x01", at)) >= 0 and at + 9 <= len(packs):
        code, body = packs[at + 3], at + 4
        if code in _AUDIO:
            payload, _, _, at, _ = _read_pes(packs, body)
            parts.append(payload)
        elif code == _PACK:
            at = body + 10
        else:
            at = body + 2 + int.from_bytes(packs[body : body + 2], "big")
    return b"".join(parts)


def demux(pack: bytes) -> AccessUnit | None:
    """The picture in the packs of one frame (what the RTP marker closes); None when there is none.

    Reads what cameras send as well: any order of headers, private and audio packets (skipped), PES
    length 0. Never raises; what is cut short or makes no sense sets `damaged`.
    """
    parts: list[bytes] = []
    pts: int | None = None
    dts: int | None = None
    damaged = False
    at = 0
    while at < len(pack):
        start = pack.find(b"\x00\x00\x01", at)
        if start != at:
            damaged = True
        if start < 0 or start + 4 > len(pack):
            damaged = True
            break
        code, body = pack[start + 3], start + 4
        if code == _END:
            at = body
        elif code == _PACK:
            at = body + 10 + (pack[body + 9] & 0x07 if body + 9 < len(pack) else 0)
        elif code in _VIDEO:
            payload, first, second, at, whole = _read_pes(pack, body)
            damaged |= not whole
            if pts is None:
                pts, dts = first, second
            parts.append(payload)
        elif code >= _SYSTEM:
            at = body + 2 + int.from_bytes(pack[body : body + 2], "big")
        else:  # a start code of H.264 where none may stand: look for the next packet
            damaged, at = True, body
    damaged |= at > len(pack)
    data = b"".join(parts)
    if not data:
        return None
    return AccessUnit(data, pts, dts, key=_holds_key_picture(data), damaged=damaged)


def _read_pes(pack: bytes, body: int) -> tuple[bytes, int | None, int | None, int, bool]:
    """(payload, pts, dts, where the next packet starts, whether all of it was there)."""
    length = int.from_bytes(pack[body : body + 2], "big")
    end = body + 2 + length if length else _next_packet(pack, body + 2)
    if body + 5 > len(pack):
        return b"", None, None, len(pack), False
    flags, stamps = pack[body + 3], body + 5
    payload = stamps + pack[body + 4]
    pts = _read_stamp(pack, stamps) if flags & 0x80 else None
    dts = _read_stamp(pack, stamps + 5) if flags & 0xC0 == 0xC0 else None
    return pack[payload:end], pts, dts, min(end, len(pack)), payload <= end <= len(pack)


def _next_packet(pack: bytes, at: int) -> int:
    """Where the next start code of the program stream is; those of H.264 are below 0x80."""
    while (at := pack.find(b"\x00\x00\x01", at)) >= 0:
        if at + 3 < len(pack) and pack[at + 3] >= _END:
            return at
        at += 3
    return len(pack)


def _read_stamp(pack: bytes, at: int) -> int | None:
    field = pack[at : at + 5]
    if len(field) < 5:
        return None
    value = int.from_bytes(field, "big")
    return (value >> 33 & 0x7) << 30 | (value >> 17 & 0x7FFF) << 15 | (value >> 1 & 0x7FFF)


def _holds_key_picture(data: bytes) -> bool:
    """True when an IDR slice (NAL unit type 5) or a sequence parameter set (7) is in the unit."""
    at = -1
    while (at := data.find(b"\x00\x00\x01", at + 1)) >= 0:
        if at + 3 < len(data) and data[at + 3] & 0x1F in (5, 7):
            return True
    return False
