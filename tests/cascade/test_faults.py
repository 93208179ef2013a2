"""Who says that it is not well, and who says so no more (Q14)."""

from cascade.as_upper.faults import Change, Fault, Faults
from cascade.manscdp import Alive, keepalive
from cascade.model.ids import PeerName, PlatformId
from sip._native import parse
from tests.cascade.lowers import like
from tests.cascade.test_registrar import HOME, NVR, OTHER, PEER, Request, judged, registrar

ELSEWHERE = ("203.0.113.60", 5060)


def said(peer: PlatformId, body: bytes) -> Alive:
    """As the engine tells of a keepalive with that body."""
    head = (
        f"MESSAGE sip:us@x SIP/2.0\r\nVia: SIP/2.0/UDP 1.1.1.1;branch=z9hG4bK1\r\n"
        f"From: <sip:{peer}@x>;tag=1\r\nTo: <sip:us@x>\r\nCall-ID: 1\r\n"
        f"CSeq: 1 MESSAGE\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return parse(head.encode() + body), 1, peer, HOME if peer == NVR else ELSEWHERE, 1.0


def test_an_ok_counts_of_those_who_said_otherwise_before() -> None:
    one = registrar(PEER, like(PEER, OTHER))
    there = Request(from_user=OTHER, username=OTHER, source=ELSEWHERE)
    judged(one, [Request(), there], 0.0, 0.0)
    faults = Faults(lambda: 0.0, lambda *_: None)
    faults._hear(NVR, keepalive.write(sn=1, device_id=PeerName(NVR), ok=False))
    well = [said(each, keepalive.write(sn=2, device_id=PeerName(each))) for each in (OTHER, NVR)]
    assert faults.recovered(well, one.lease_of) == [Change(NVR, Fault(itself=True), Fault(itself=False))]
    assert faults.recovered(well, one.lease_of) == []
    assert faults.counts["faults_changed"] == 2
