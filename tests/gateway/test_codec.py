"""Crossings as bytes: what is written is read back, and any bytes are a crossing or a CodecError."""

import contextlib
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import Ask, CatalogBatch, Crossing, NoAnswer, StreamEnded
from cascade.model.commands import Command
from cascade.model.commands.device_info import AskDeviceInfo
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Rows
from gateway.chamber import codec
from gateway.chamber.codec import MAX_ROWS, CodecError, decode, encode, payloads
from tests.gateway.chamber_ground import CROSSINGS, LOWER, ask, batch, channel, rows


@settings(deadline=None)
@given(CROSSINGS)
def test_what_is_written_is_read_back(crossing: Crossing) -> None:
    copy = decode(encode(crossing))
    assert copy == crossing
    assert type(copy) is type(crossing)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_crossing_or_a_codec_error(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        decode(data)


@settings(deadline=None)
@given(CROSSINGS, st.data())
def test_a_crossing_with_bytes_changed_is_a_crossing_or_a_codec_error(crossing: Crossing, data: Any) -> None:
    written = bytearray(encode(crossing))
    for _ in range(data.draw(st.integers(1, 4))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        decode(bytes(written))


@settings(deadline=None)
@given(CROSSINGS, st.data())
def test_a_part_of_a_crossing_is_none(crossing: Crossing, data: Any) -> None:
    written = encode(crossing)
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(CodecError):
        decode(written[:cut])


def test_names_come_back_as_what_they_are() -> None:
    copy = decode(encode(ask()))
    assert isinstance(copy, Ask)
    assert type(copy.origin) is PlatformId
    assert isinstance(copy.payload, AskDeviceInfo)
    assert type(copy.payload.target) is ChannelId
    assert type(copy.payload.target.peer) is PlatformId
    assert type(copy.payload.target.name) is PeerName


def test_rows_cross_in_their_columns() -> None:
    copy = decode(encode(batch(rows(channel(1), channel(2)))))
    assert isinstance(copy, CatalogBatch)
    assert copy.rows == rows(channel(1), channel(2))


def plain(crossing: Crossing) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.msgpack.decode(encode(crossing))
    return found


def changed(crossing: Crossing, **fields: Any) -> bytes:
    return msgspec.msgpack.encode(plain(crossing) | fields)


@pytest.mark.parametrize(
    "data",
    [
        changed(ask(), type="Command"),
        changed(ask(), more=1),
        changed(ask(), origin=""),
        changed(ask(), origin="a\nb"),
        changed(ask(), origin=b"44"),
        changed(ask(), origin=5),
        changed(ask(), users=["a"] * 17),
        changed(ask(), seconds_left=math.nan),
        changed(ask(), seconds_left=math.inf),
        changed(ask(), seconds_left=-1.0),
        changed(ask(), payload={"type": "Delete", "target": ["1", "2"]}),
        changed(ask(), payload={"type": "AskDeviceInfo", "target": ["1", "\x00"]}),
        changed(ask(), payload={"type": "AskDeviceInfo", "target": ["1", "2", "3"]}),
        changed(batch(rows()), rows=b"no rows"),
        changed(batch(rows()), rows="text"),
        changed(batch(rows()), change="moved"),
        changed(batch(rows()), rows=rows(*map(channel, range(MAX_ROWS + 1))).encode()),
        msgspec.msgpack.encode([1, 2]),
        b"",
        b"\xc1",
        b"\x91" * 2000,
        b"\xdd\xff\xff\xff\xff",
        encode(ask()) + b"\x00",
        b"\x00" * (2 * 1024 * 1024),
    ],
)
def test_what_is_no_crossing_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


def test_more_rows_than_may_cross_at_once_are_not_written() -> None:
    assert encode(batch(rows(*map(channel, range(MAX_ROWS)))))
    with pytest.raises(CodecError, match="1001 rows"):
        encode(batch(rows(*map(channel, range(MAX_ROWS + 1)))))


def test_more_bytes_than_a_frame_holds_are_not_written() -> None:
    long = Rows.build([{"id": str(number), "name": str(number) * 500} for number in range(1000)])
    with pytest.raises(CodecError, match="smaller crossings"):
        encode(batch(long))


def test_every_command_of_the_package_is_known() -> None:
    assert AskDeviceInfo in payloads()
    assert all(issubclass(kind, Command) for kind in payloads())
    assert len(payloads()) == len({kind.__name__ for kind in payloads()})


def test_a_command_from_elsewhere_cannot_be_read() -> None:
    class Elsewhere(Command, frozen=True):
        action = "query.elsewhere"

    assert Elsewhere not in payloads()
    made_up: Ask[Any] = Ask(correlation=1, origin=LOWER, payload=Elsewhere())
    with pytest.raises(CodecError):
        decode(encode(made_up))


def test_lone_surrogates_are_refused_not_mangled() -> None:
    with pytest.raises(CodecError):
        encode(NoAnswer(correlation=1, origin=LOWER, action="\ud800", failure="failed"))
    with pytest.raises(CodecError):
        encode(StreamEnded(correlation=2**70, origin=LOWER, channel=channel(1)))


def test_the_union_holds_every_envelope() -> None:
    from cascade.crossing import Envelope

    def below(kind: type[Any]) -> set[str]:
        return {sub.__name__ for sub in kind.__subclasses__()} | {
            name for sub in kind.__subclasses__() for name in below(sub)
        }

    known = {field.cls.__name__ for field in _types(msgspec.inspect.type_info(codec.UNION))}
    assert below(Envelope) <= known | {"Stream"}


def _types(info: msgspec.inspect.Type) -> list[msgspec.inspect.StructType]:
    assert isinstance(info, msgspec.inspect.UnionType)
    return [kind for kind in info.types if isinstance(kind, msgspec.inspect.StructType)]
