"""A camera's media in a file, as a capture that a programme without encoder can play (libpcap format)."""

import hashlib
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from interop.sim import ps
from interop.sim.camera import FRAME_RATE, CameraSpec, Encoder
from interop.sim.rtp import Packetizer

_ETHERNET: Final = bytes(12) + b"\x08\x00"
_GAP_SECONDS: Final = 0.0002  # between the packets of one frame
_WALL: Final = 1_772_352_000.0  # what the strips in the pictures say: 2026-03-01 08:00 UTC


@dataclass(frozen=True, slots=True)
class StreamFile:
    """What is in the file and so is sent by whoever plays it. `sha256` is over the PS bytes, hex."""

    camera: str
    number: int
    seconds: float
    packets_sent: int
    frames_sent: int
    bytes_sent: int
    sha256: str


def write_stream(path: Path, camera: CameraSpec, *, ssrc: int, seconds: float) -> StreamFile:
    """Film `camera` for so long and write its RTP packets with the times at which they are due."""
    source = Encoder(camera)
    packetizer = Packetizer(ssrc, first_sequence=65_500)  # the numbers wrap early in the file
    whole = hashlib.sha256()
    size = 0
    frames = round(seconds * FRAME_RATE)
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for frame in range(frames):
            due = frame / FRAME_RATE
            ticks = round(due * ps.CLOCK_RATE)
            pack = ps.mux(source.next(frame, ticks, _WALL + due))
            whole.update(pack)
            size += len(pack)
            for number, packet in enumerate(packetizer.packets_of(pack, ticks)):
                file.write(_record(packet, due + number * _GAP_SECONDS))
    source.close()
    sent = packetizer.packets
    return StreamFile(camera.id, camera.number, seconds, sent, frames, size, whole.hexdigest())


def _record(payload: bytes, moment: float) -> bytes:
    """One packet; whoever plays the file puts addresses and ports of its own in place of these."""
    udp = struct.pack("!HHHH", 15_060, 30_000, 8 + len(payload), 0) + payload
    here = IPv4Address("127.0.0.1").packed
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, here, here)
    frame = _ETHERNET + ip + udp
    whole, part = divmod(round(moment * 1e6), 1_000_000)
    return struct.pack("<IIII", whole, part, len(frame), len(frame)) + frame
