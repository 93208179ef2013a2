"""Media by hand: a camera that sends what a test says, an upper that keeps what comes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tests.gateway.bodies import HAND_LOWER, HAND_UPPER
from tests.gateway.by_hand import Address, Heard
from tests.gateway.world import OUTER, World


def rtp(sequence: int, ssrc: int, *, payload_type: int = 96) -> bytes:
    """A packet that begins with a program stream's pack header."""
    pack = b"\x00\x00\x01\xba" + bytes([0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xF8]) + bytes(20)
    stamp = (sequence * 3600).to_bytes(4, "big")
    return bytes([0x80, payload_type]) + sequence.to_bytes(2, "big") + stamp + ssrc.to_bytes(4, "big") + pack


class Stream:
    """Media by hand, from one address of a camera."""

    def __init__(self, here: World, address: Address, to: Address, ssrc: int) -> None:
        self.address = address
        self.to = to
        self.ssrc = ssrc
        self._sequence = 100
        self._port = here.network.datagrams(address, lambda data, source: None)

    async def run(self, packets: int = 25, *, ssrc: int | None = None) -> None:
        """Send so many packets, 25 a second."""
        for _ in range(packets):
            self._sequence += 1
            self._port.send(rtp(self._sequence, self.ssrc if ssrc is None else ssrc), self.to)
            await asyncio.sleep(0.04)

    def lose(self, packets: int) -> None:
        """The network takes the next ones."""
        self._sequence += packets

    def close(self) -> None:
        self._port.close()


@contextmanager
def stream(
    here: World, invite: Heard, *, ssrc: int | None = None, address: Address = (HAND_LOWER[0], 30_000)
) -> Iterator[Stream]:
    """Media to where an INVITE of ours wants it; the number is the one that it gave."""
    sent = Stream(
        here, address, (OUTER, invite.media_port()), int(invite.line("y")) if ssrc is None else ssrc
    )
    try:
        yield sent
    finally:
        sent.close()


class Watcher:
    """Where an upper by hand takes media: (time, packet)."""

    def __init__(self, here: World, address: Address = (HAND_UPPER[0], 20_000)) -> None:
        self.packets: list[tuple[float, bytes, Address]] = []
        loop = here.network.loop
        self._port = here.network.datagrams(
            address, lambda data, source: self.packets.append((loop.time(), data, source))
        )

    def close(self) -> None:
        self._port.close()
