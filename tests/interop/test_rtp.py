import hashlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from interop.sim import rtp
from interop.sim.rtp import Packetizer, Receiver


def stream(frames: list[bytes], first_sequence: int = 65_530) -> list[bytes]:
    packetizer = Packetizer(7, first_sequence=first_sequence)
    return [
        packet
        for number, frame in enumerate(frames)
        for packet in packetizer.packets_of(frame, number * 3600)
    ]


def frames_of(count: int, size: int = 3000) -> list[bytes]:
    return [bytes((number & 0xFF,)) * size for number in range(count)]


def test_packets_are_small_and_only_the_last_of_a_frame_has_the_marker() -> None:
    packets = [rtp.read(data) for data in stream([b"x" * 2801], first_sequence=65_535)]
    fields = [(p.sequence, p.timestamp, p.ssrc, p.marker, len(p.payload)) for p in packets if p]
    assert fields == [(65_535, 0, 7, False, 1400), (0, 0, 7, False, 1400), (1, 0, 7, True, 1)]


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=30), st.randoms(use_true_random=False)
)
def test_a_shuffle_within_the_window_changes_nothing(frames: list[bytes], chance: random.Random) -> None:
    packets = stream(frames)
    order = sorted(range(len(packets)), key=lambda index: index + chance.uniform(0, 15))
    receiver = Receiver(7)
    found = [frame for index in order for frame in receiver.feed(packets[index])]
    found += receiver.finish()
    assert [frame.payload for frame in found] == frames
    assert receiver.sha256 == hashlib.sha256(b"".join(frames)).hexdigest() == found[-1].running
    assert (receiver.lost, receiver.late, receiver.repeated) == ([], 0, 0)


def test_lost_packets_are_listed_and_their_frames_marked() -> None:
    packets = stream(frames_of(100), first_sequence=100)
    missing = {4, 30, 31, 32}
    receiver = Receiver(7)
    found = [
        frame
        for index, packet in enumerate(packets)
        if index not in missing
        for frame in receiver.feed(packet)
    ]
    found += receiver.finish()
    assert [number - 0x10000 - 100 for number in receiver.lost] == sorted(missing)
    assert receiver.lost_count == 4
    assert len(found) == 99  # frame 10 is packets 30 to 32: its loss may have touched the next as well
    assert [frame.timestamp // 3600 for frame in found if not frame.whole] == [1, 11]


def test_a_lost_marker_costs_one_frame_not_two() -> None:
    packets = stream(frames_of(4))
    receiver = Receiver(7)
    found = [frame for index, p in enumerate(packets) if index != 2 for frame in receiver.feed(p)]
    found += receiver.finish()
    assert [(frame.timestamp // 3600, frame.whole) for frame in found] == [
        (0, False),
        (1, True),
        (2, True),
        (3, True),
    ]


def test_a_stream_begins_with_its_first_pack_even_if_the_second_packet_overtook_it() -> None:
    pack = b"\0\0\x01\xba" + bytes(3000)
    first, second, third = stream([pack])
    receiver = Receiver(7)
    assert receiver.feed(second) == []
    assert receiver.feed(first) == []
    (frame,) = receiver.feed(third)
    assert (frame.payload, frame.whole, receiver.late) == (pack, True, 0)


def test_repeated_late_and_foreign_packets_are_counted_and_left_out() -> None:
    packets = stream(frames_of(10))
    receiver = Receiver(7)
    for packet in packets[:2] + packets:
        receiver.feed(packet)
    receiver.feed(packets[0])
    receiver.feed(b"\x80")
    receiver.feed(b"\x00" * 40)
    receiver.feed(Packetizer(8).packets_of(b"other", 0)[0])
    receiver.feed(Packetizer(7, payload_type=8).packets_of(b"audio", 0)[0])
    counted = (receiver.repeated, receiver.late, receiver.foreign, receiver.received)
    assert counted == (2, 1, 4, len(packets))


def test_the_first_packet_decides_when_no_ssrc_is_expected() -> None:
    receiver = Receiver()
    receiver.feed(Packetizer(0xDEAD).packets_of(b"a", 0)[0])
    assert receiver.ssrc == 0xDEAD


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_datagram_is_read_or_none(data: bytes) -> None:
    rtp.read(data)
