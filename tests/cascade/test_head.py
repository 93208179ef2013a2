from hypothesis import example, given
from hypothesis import strategies as st

from cascade.manscdp import Head, head, heads
from cascade.model.ids import PeerName
from tests.cascade.vectors import Vector, vectors

KEEPALIVE = (
    b"<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>44010600001180000001</DeviceID></Notify>"
)
PIECES = [b"<", b">", b"/", b"<Query>", b"</Query>", b"<SN>", b"</SN>", b"<CmdType>", b"</CmdType>"]
PIECES += [b"<DeviceID>", b"</DeviceID>", b"1", b"Catalog", b"DeviceControl", b"<PTZCmd>", b"<!", b"<?", b'"']


def fields(found: Head | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {
        "root": found.root,
        "cmd_type": found.cmd_type,
        "sn": found.sn,
        "device_id": found.device_id,
        "operation": found.operation,
    } | ({"source_id": found.source_id} if found.source_id else {})


@vectors("head")
def test_heads_are_read_as_the_vectors_say(vector: Vector) -> None:
    assert fields(head(vector.body)) == vector.expected["head"]


def test_a_run_of_bodies_gives_a_head_each() -> None:
    found = heads([KEEPALIVE, b"", KEEPALIVE])
    assert [each is not None for each in found] == [True, False, True]
    assert found[0] == head(KEEPALIVE)


@given(st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
@example(KEEPALIVE * 100)
def test_any_bytes_have_a_checked_head_or_none(body: bytes) -> None:
    found = head(body)
    if found is not None:
        assert found.root in {"Control", "Query", "Notify", "Response"}
        assert found.cmd_type
        assert found.cmd_type.isascii()
        assert found.sn.isdigit()
        if (found.root, found.cmd_type, found.device_id) != ("Response", "Broadcast", ""):
            assert PeerName(found.device_id) == found.device_id


@given(st.integers(0, len(KEEPALIVE)))
def test_what_is_cut_off_before_the_end_of_the_id_has_no_head(length: int) -> None:
    whole = KEEPALIVE.index(b"</DeviceID>") + len(b"</DeviceID>")
    assert (head(KEEPALIVE[:length]) is not None) == (length >= whole)


def test_an_id_beyond_four_kilobytes_is_not_looked_for() -> None:
    filler = b"<X>" + b"x" * 4096 + b"</X>"
    assert head(KEEPALIVE.replace(b"<SN>", filler + b"<SN>")) is None
    assert head(KEEPALIVE.replace(b"</Notify>", filler + b"</Notify>")) is not None
