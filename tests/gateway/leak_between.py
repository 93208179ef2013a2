"""What two hosts say to each other, for the leak proof: frames before TLS has them, packets opened."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from unittest.mock import patch

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.app import SideName
from gateway.chamber.link.frames import Kind
from gateway.chamber.link.session import Greeting, LinkSession
from media.link import KEY, TAKEN
from tests.gateway.apart import OTHER, SIDES, Apart
from tests.gateway.cable import HOST
from tests.gateway.markers import Haystack

HEAD: Final = struct.Struct("!BB6sI")
"""Of a sealed packet: version, epoch, counter, number of the stream."""
OFFER: Final = struct.Struct("!cBB32s")
"""Of a key: what it is, version, epoch, key."""
RTP_BYTES: Final = 12


@dataclass(slots=True)
class Between:
    """The frames of each host, in order."""

    frames: dict[SideName, list[tuple[Kind, bytes]]] = field(
        default_factory=lambda: {side: [] for side in SIDES}
    )

    def told(self, side: SideName) -> dict[bytes, str]:
        """The bodies that mean something. Keys and greetings are random, and may look like anything."""
        pieces: dict[bytes, str] = {}
        for kind, body in self.frames[side]:
            if kind is Kind.HELLO:
                greeting = msgspec.msgpack.decode(body, type=Greeting)
                assert {len(greeting.nonce), len(greeting.era)} <= {0, len(greeting.nonce)}
            elif kind is Kind.MEDIA and body.startswith(KEY):
                OFFER.unpack(body)
            else:
                assert kind is not Kind.MEDIA or body.startswith(TAKEN)
                pieces[body] = f"{kind.name} from {side}"
        return pieces

    def packets(self, here: Apart, side: SideName) -> dict[bytes, str]:
        """The RTP that left this host for the other, as that one opens it."""
        keys: dict[int, AESGCM] = {}
        for kind, body in self.frames[OTHER[side]]:  # who receives makes the key
            if kind is Kind.MEDIA and body.startswith(KEY):
                _, _, epoch, key = OFFER.unpack(body)
                keys[epoch] = AESGCM(key)
        pieces: dict[bytes, str] = {}
        for sealed, source, _ in here.datagrams:
            if source[0] != HOST[side]:
                continue
            head = sealed[: HEAD.size]
            _, epoch, counter, number = HEAD.unpack(head)
            packet = keys[epoch].decrypt(bytes(6) + counter, sealed[HEAD.size :], head)
            # a header of ours: no padding, no extension, no further source; the number is the SSRC
            assert packet[0] == 0x80
            assert packet[8:RTP_BYTES] == number.to_bytes(4, "big")
            assert packet[1] & 0x7F < 72 or packet[1] & 0x7F > 76, "RTCP"
            pieces[packet] = f"a packet of stream {number} from {side}"
        return pieces

    def haystacks(self, here: Apart, side: SideName) -> dict[str, Haystack]:
        """What came out of this host."""
        return {"frames": Haystack(self.told(side)), "packets": Haystack(self.packets(here, side))}


@contextmanager
def listening() -> Iterator[Between]:
    """Hear every frame that either host hands to TLS."""
    heard = Between()
    send = LinkSession.send

    def overheard(self: LinkSession, kind: Kind, body: bytes) -> None:
        heard.frames["outer" if self._sends == "inward" else "inner"].append((kind, body))
        send(self, kind, body)

    with patch.object(LinkSession, "send", overheard):
        yield heard
