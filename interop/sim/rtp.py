"""RTP (RFC 3550; GB/T 28181-2016 C.2.1): cut frames of a program stream or of voice, put them together."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_PAYLOAD: Final = 1400
PAYLOAD_TYPE_PS: Final = 96

_HEADER: Final = 12
_WINDOW: Final = 128  # packets held while an earlier one is missing
_START: Final = 16  # packets held until the first one of the stream is certain
_PACK: Final = b"\0\0\x01\xba"
_FAR: Final = 3000  # sequence numbers; RFC 3550 A.1 MAX_DROPOUT
_MAX_FRAME: Final = 8 << 20
_MAX_LISTED: Final = 10_000


class Packetizer:
    """Cuts frames into packets of one stream."""

    def __init__(self, ssrc: int, *, payload_type: int = PAYLOAD_TYPE_PS, first_sequence: int = 0) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self._payload_type = payload_type
        self._sequence = first_sequence & 0xFFFF

    def packets_of(self, frame: bytes, timestamp: int) -> list[bytes]:
        """All packets of one frame, the last with the marker. `timestamp` in 90 kHz ticks, any size."""
        return [
            self.packet(
                frame[start : start + MAX_PAYLOAD], timestamp, marker=start + MAX_PAYLOAD >= len(frame)
            )
            for start in range(0, len(frame), MAX_PAYLOAD)
        ]

    def packet(self, payload: bytes, timestamp: int, *, marker: bool) -> bytes:
        """The next packet. `timestamp` in ticks of the payload's clock, any size."""
        head = bytes((0x80, (0x80 if marker else 0) | self._payload_type))
        number = self._sequence.to_bytes(2, "big")
        tail = (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + self.ssrc.to_bytes(4, "big")
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        return head + number + tail + payload


@dataclass(frozen=True, slots=True)
class Packet:
    """The fields of one RTP packet that a receiver needs."""

    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes


def read(datagram: bytes) -> Packet | None:
    """One packet, or None for what is not RTP version 2. Padding, CSRC and extension are taken off."""
    if len(datagram) < _HEADER or datagram[0] >> 6 != 2:
        return None
    start = _HEADER + 4 * (datagram[0] & 0x0F)
    if datagram[0] & 0x10:
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    end = len(datagram) - (datagram[-1] if datagram[0] & 0x20 else 0)
    if start > end:
        return None
    return Packet(
        sequence=int.from_bytes(datagram[2:4], "big"),
        timestamp=int.from_bytes(datagram[4:8], "big"),
        ssrc=int.from_bytes(datagram[8:12], "big"),
        payload_type=datagram[1] & 0x7F,
        marker=bool(datagram[1] & 0x80),
        payload=datagram[start:end],
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """Payload of all packets with one timestamp, in order. `whole` is False when some are missing."""

    payload: bytes
    timestamp: int
    packets: int
    whole: bool
    digest: str  # SHA-256 of `payload`, hex
    running: str  # SHA-256 of the stream's payload up to and with this frame, hex


class Receiver:
    """Puts the packets of one stream in order and its frames together.

    A missing packet is waited for until `_WINDOW` later ones have come, then it is lost. The stream
    begins with the lowest sequence number once that packet begins a program stream pack, or 16 have
    come. The first packet decides the SSRC where none is expected; packets with another are counted.
    Of a `voice` each packet is a frame, and the first that comes is its beginning.
    """

    def __init__(
        self, ssrc: int | None = None, *, payload_type: int = PAYLOAD_TYPE_PS, voice: bool = False
    ) -> None:
        self.ssrc = ssrc
        self.received = 0
        self.repeated = 0
        self.late = 0
        self.foreign = 0
        self.payload_bytes = 0
        self.lost_count = 0
        self.lost: list[int] = []  # extended sequence numbers, the first 10,000
        self._payload_type = payload_type
        self._voice = voice
        self._next: int | None = None  # extended sequence number that is to come next
        self._highest = 0  # extended sequence number
        self._held: dict[int, Packet] = {}
        self._hash = hashlib.sha256()
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp: int | None = None
        self._whole = True

    @property
    def sha256(self) -> str:
        """Over the payload bytes so far in sequence order, hex."""
        return self._hash.hexdigest()

    def feed(self, datagram: bytes) -> list[Frame]:
        """Frames that this datagram completes, in order."""
        packet = read(datagram)
        if packet is None or packet.payload_type != self._payload_type:
            self.foreign += 1
            return []
        if self.ssrc is None:
            self.ssrc = packet.ssrc
        if packet.ssrc != self.ssrc:
            self.foreign += 1
            return []
        if not self._highest:
            self._highest = 0x10000 + packet.sequence
        number = self._extended(packet.sequence)
        if number is None:
            self.foreign += 1
            return []
        if self._next is not None and number < self._next:
            self.late += 1
            return []
        if number in self._held:
            self.repeated += 1
            return []
        self.received += 1
        self._highest = max(self._highest, number)
        self._held[number] = packet
        return list(self._release(_WINDOW))

    def finish(self) -> list[Frame]:
        """Give up waiting for missing packets; the rest of the frames, in order."""
        frames = list(self._release(0))
        if self._parts:
            self._whole = False
            frames.append(self._frame())
        return frames

    def _extended(self, sequence: int) -> int | None:
        """The number nearest to the highest so far; None when it is implausibly far from it."""
        ahead = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        return self._highest + ahead if abs(ahead) <= _FAR else None

    def _release(self, patience: int) -> Iterator[Frame]:
        if self._next is None and self._held:
            first = min(self._held)
            certain = self._voice or self._held[first].payload.startswith(_PACK)
            if patience and len(self._held) < _START and not certain:
                return
            self._next = first
        while self._held and self._next is not None:
            packet = self._held.pop(self._next, None)
            if packet is None:
                if len(self._held) <= patience:
                    return
                self._lose(self._next, min(self._held))
                continue
            self._next += 1
            yield from self._take(packet)

    def _lose(self, first: int, following: int) -> None:
        self.lost_count += following - first
        room = _MAX_LISTED - len(self.lost)
        self.lost.extend(range(first, min(following, first + room)))
        self._next = following
        self._whole = False

    def _take(self, packet: Packet) -> Iterator[Frame]:
        if self._parts and packet.timestamp != self._timestamp:  # its marker was lost or never sent
            yield self._frame()
        self._timestamp = packet.timestamp
        self._parts.append(packet.payload)
        self._size += len(packet.payload)
        self.payload_bytes += len(packet.payload)
        self._hash.update(packet.payload)
        if packet.marker or self._voice or self._size > _MAX_FRAME:
            yield self._frame()

    def _frame(self) -> Frame:
        payload = b"".join(self._parts)
        frame = Frame(
            payload,
            self._timestamp or 0,
            len(self._parts),
            self._whole,
            hashlib.sha256(payload).hexdigest(),
            self._hash.hexdigest(),
        )
        self._parts, self._size, self._whole = [], 0, True
        return frame
