"""Broadcasts on the wire: announcement, answer, and the description of a voice (9.12, Q94, Q95)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.addresses import media_host
from cascade.as_upper.announcements import CALL_SECONDS, Announcement, Announcements
from cascade.errors import BadCommand, Unacceptable
from cascade.manscdp import broadcast, head
from cascade.manscdp.wire import NamesOf
from cascade.model.commands.broadcast import AskBroadcast, Broadcast
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.sdp import MediaOffer, read_offer, voices, voices_of, write_offer
from sip.errors import PeerError
from tests.cascade.vectors import Vector, vectors

PEER = PlatformId("44010600001180000001")
OTHER = PlatformId("44010600001180000002")
TARGET = ChannelId(PEER, PeerName("44010600001370000001"))
US = "44010000002000000001"


@vectors("broadcast")
def test_answers_are_read_as_the_vectors_say(vector: Vector) -> None:
    if vector.refused:
        with pytest.raises(BadCommand):
            broadcast.read_answer(vector.body, TARGET)
    else:
        assert broadcast.read_answer(vector.body, TARGET) == Broadcast(target=TARGET, **vector.expected)


@vectors("voice")
def test_voices_are_read_as_the_vectors_say(vector: Vector) -> None:
    if vector.refused:
        with pytest.raises(Unacceptable):
            read_offer(vector.body, kind="audio")
        return
    offer = read_offer(vector.body, kind="audio")
    expected = dict(vector.expected)
    assert list(voices_of(offer)) == expected.pop("encodings")
    assert {name: getattr(offer, name) for name in expected} == expected


@given(st.sampled_from(["GB2312", "GB18030", "UTF-8"]), st.integers(0, 10**9))
def test_what_is_written_is_read_back(charset: str, sn: int) -> None:
    names = NamesOf(PEER)
    body = broadcast.write(AskBroadcast(target=TARGET), source=US, sn=sn, names=names, charset=charset)
    read = head(body)
    assert read is not None
    assert (read.sn, read.source_id, read.device_id) == (str(sn), US, TARGET.name)
    for result in (Broadcast(target=TARGET, result="ok"), Broadcast(target=TARGET, result="error")):
        body = broadcast.ANSWER.write(result, sn=sn, names=names, charset=charset)
        assert broadcast.read_answer(body, TARGET) == result


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_the_peers_error(body: bytes) -> None:
    with contextlib.suppress(PeerError):
        broadcast.read_answer(body, TARGET)


def test_our_offer_of_a_voice_looks_as_the_standard_prints_it() -> None:
    offer = MediaOffer(
        host="203.0.113.21",
        port=30080,
        ssrc=106000009,
        kind="audio",
        payloads=voices(("PCMA/8000",)),
        description="v/////a/1/8/1",
    )
    assert write_offer(offer, user=US).decode().split("\r\n") == [
        "v=0",
        f"o={US} 0 0 IN IP4 203.0.113.21",
        "s=Play",
        "c=IN IP4 203.0.113.21",
        "t=0 0",
        "m=audio 30080 RTP/AVP 8",
        "a=recvonly",
        "a=rtpmap:8 PCMA/8000",
        "y=0106000009",
        "f=v/////a/1/8/1",
        "",
    ]


def announcement(number: int, target: ChannelId = TARGET) -> Announcement:
    return Announcement(number, target, sn=number + 100)


CAMERA = ChannelId(PEER, PeerName("44010600001320000001"))


def opened(*targets: ChannelId) -> Announcements:
    open_ = Announcements()
    for number, target in enumerate(targets, start=1):
        open_.open(announcement(number, target), now=0.0)
    return open_


def calls(open_: Announcements, *names: str) -> int | None:
    found = open_.call(PEER, names)
    return None if found is None else found.correlation


@pytest.mark.parametrize(
    ("names", "number"), [((CAMERA.name,), 2), ((TARGET.name, "x"), 1), ((), 1), (("unknown",), 1)]
)
def test_a_call_is_for_the_channel_it_names_else_for_the_oldest_of_its_peer(
    names: tuple[str, ...], number: int
) -> None:
    open_ = opened(TARGET, CAMERA, ChannelId(OTHER, TARGET.name))
    assert calls(open_, *names) == number
    assert open_.call(PlatformId("44010600001180000003"), {TARGET.name}) is None


def test_a_second_voice_for_one_loudspeaker_is_called_for_by_its_second_call() -> None:
    open_ = opened(TARGET, TARGET)
    assert [calls(open_, TARGET.name) for _ in range(3)] == [1, 2, 2]
    open_.close(2)
    assert calls(open_, TARGET.name) == 1


def test_an_announcement_lasts_for_its_time_and_several_calls() -> None:
    open_ = Announcements()
    open_.open(announcement(1), now=5.0)
    assert open_.deadline == 5.0 + CALL_SECONDS
    assert calls(open_) == calls(open_) == 1
    open_.close(2)
    open_.advance(5.0 + CALL_SECONDS - 0.1)
    assert open_.for_peer(PEER)
    open_.advance(5.0 + CALL_SECONDS)
    assert not open_.for_peer(PEER)
    open_.open(announcement(3), now=50.0)
    open_.close(3)
    assert calls(open_) is None


@pytest.mark.parametrize(
    ("target", "named", "host"),
    [
        ("sdp", "203.0.113.51", "203.0.113.51"),
        ("sdp", "", "203.0.113.50"),
        ("source", "203.0.113.51", "203.0.113.50"),
        ("203.0.113.77", "203.0.113.51", "203.0.113.77"),
        ("203.0.113.77", "", "203.0.113.77"),
    ],
)
def test_q51_whose_address_counts(target: str, named: str, host: str) -> None:
    assert media_host(target, named, "203.0.113.50") == host
