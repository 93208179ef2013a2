"""What the relay has counted so far. Pulled each second or so; packets never wait for it."""

import msgspec
from msgspec import Struct


class ViewerCounters(Struct, frozen=True):
    """Packets and bytes (without UDP and IP headers) that left towards one viewer."""

    sent: int = 0
    bytes: int = 0
    unsent: int = 0  # the operating system did not take them


class Refused(Struct, frozen=True):
    """Packets that were dropped, by the first reason that applied."""

    not_rtp: int = 0  # no RTP version 2, or a header longer than its packet
    before_answer: int = 0  # nothing was agreed yet
    foreign_source: int = 0  # outside the agreed networks, or not the pinned sender
    foreign_ssrc: int = 0
    foreign_payload_type: int = 0
    no_pack_header: int = 0  # the SSRC is still to be learnt, and this packet can't teach it
    outside_window: int = 0  # a jump that no second packet had confirmed
    duplicate: int = 0
    over_rate: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, field) for field in self.__struct_fields__)


class StreamCounters(Struct, frozen=True):
    """Every datagram that came is counted once: received = admitted + refused.total."""

    received: int = 0
    admitted: int = 0
    bytes: int = 0  # of the admitted datagrams, without UDP and IP headers
    held: int = 0  # admitted, waiting for the first viewer
    held_dropped: int = 0  # admitted, and more than were to be held
    lost: int = 0  # numbered by the sender, and never came
    first: float | None = None  # when the first and the newest packet were admitted, on the loop's clock
    last: float | None = None
    foreign_ssrc: int | None = None  # of the newest packet that was refused for its SSRC
    refused: Refused = Refused()
    viewers: dict[str, ViewerCounters] = {}


class TrunkRefused(Struct, frozen=True):
    """Datagrams at the trunk that were dropped, by the first reason that applied. None was answered."""

    not_trunk: int = 0  # too short, or of another version
    foreign_source: int = 0  # not from the other host
    unknown_epoch: int = 0  # sealed with a key that is not ours, not yet, or not any more
    replayed: int = 0  # it came before, or is too old to say
    bad_tag: int = 0  # changed on the way, or forged
    unknown_stream: int = 0  # nobody here takes it (any more)

    @property
    def total(self) -> int:
        return sum(getattr(self, field) for field in self.__struct_fields__)


class TrunkCounters(Struct, frozen=True):
    """Every datagram that came is counted once: received = opened + refused.total."""

    received: int = 0
    opened: int = 0
    bytes: int = 0  # of all that came, without UDP and IP headers
    lost: int = 0  # sealed by the other host, and never came; late ones lower it again
    refused: TrunkRefused = TrunkRefused()
    sealed: int = 0
    unsealed: int = 0  # there was no key of the other host's, or none that was not spent
    unsent: int = 0  # the operating system did not take them
    fresh_key: bool = False  # nothing came yet under the newest key that we gave away


class Counters(Struct, frozen=True):
    """Of the streams that are open; a closed one takes its counters along."""

    streams: dict[str, StreamCounters] = {}
    receiving_sockets: int = 0
    sending_sockets: int = 0
    trunk: TrunkCounters | None = None


_decode = msgspec.json.Decoder(Counters).decode


def read(json: bytes) -> Counters:
    """Read what the native relay writes."""
    return _decode(json)
