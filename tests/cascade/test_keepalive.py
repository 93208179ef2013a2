import pytest

from cascade.errors import BadCommand
from cascade.manscdp import head, keepalive
from cascade.manscdp.keepalive import Keepalive
from cascade.model.ids import PeerName
from tests.cascade.vectors import Vector, vectors

NVR = PeerName("44010600001180000001")


@vectors("keepalive")
def test_keepalives_are_read_as_the_vectors_say(vector: Vector) -> None:
    read = keepalive.read(vector.body)
    assert {"device_id": read.device_id, "ok": read.ok, "faulty": list(read.faulty)} == vector.expected


@pytest.mark.parametrize(("ok", "faulty"), [(True, ()), (False, ("44010600001320000002", "cam-1"))])
def test_what_is_written_is_read_back(ok: bool, faulty: tuple[str, ...]) -> None:
    body = keepalive.write(sn=43, device_id=NVR, ok=ok, faulty=faulty)
    found = head(body)
    assert found is not None
    assert (found.root, found.cmd_type, found.sn, found.device_id) == ("Notify", "Keepalive", "43", NVR)
    assert keepalive.read(body) == Keepalive(NVR, ok=ok, faulty=tuple(map(PeerName, faulty)))
    assert body.endswith(b"</Notify>\r\n")


@pytest.mark.parametrize(
    "body",
    [b"", b"<Notify><CmdType>Alarm</CmdType></Notify>", b"<Notify><CmdType>Keepalive</CmdType></Notify>"],
)
def test_what_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(BadCommand):
        keepalive.read(body)
