"""What deciders read of a whole run in one call says what each event says of itself."""

import pytest

from cascade.manscdp import CONTENT_TYPE, heads, keepalive, keepalives
from cascade.model.ids import PeerName
from sip._native import Core, parse, registrations
from sip.events import Auth, Event
from tests.sip.test_core import DEVICE, NETWORKS, PEER, REALM, SEED, US, core, register, request

__all__ = ["core"]

NVR = PeerName(DEVICE)
ALARM = (
    b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>44010600001180000001</DeviceID>"
    b"<Status>OK</Status></Notify>"
)
QUERY = ALARM.replace(b"Notify", b"Query").replace(b"Alarm", b"Keepalive")


def message(number: int, body: bytes) -> Event:
    return parse(request("MESSAGE", number, f"Content-Type: {CONTENT_TYPE}", body=body))


def test_of_a_proven_register_all_is_read_that_it_says(core: Core) -> None:
    second = register(core, 1, DEVICE, "right", 0.0)
    contact = f"Contact: <sip:{DEVICE}@10.0.0.5:5060>\r\nX-GB-Ver: 3.0\r\nCSeq"
    core.feed(second.replace(b"CSeq", contact.encode(), 1), PEER, 7.5)
    run = core.take_events(10)
    [event] = run
    assert event.auth == Auth.VERIFIED
    proof = (DEVICE, PEER, 7.5, "udp", "", 86400, f"sip:{DEVICE}@10.0.0.5:5060")
    assert registrations(run) == [(event.transaction, Auth.VERIFIED, "3.0", DEVICE, proof)]


def test_of_what_is_not_proven_nothing_is_believed(core: Core) -> None:
    wrong = register(core, 1, DEVICE, "wrong", 0.0)
    core.feed(request("REGISTER", 3), PEER, 0.0)
    core.feed(wrong, PEER, 0.0)
    run = core.take_events(10)
    assert registrations(run) == [
        (event.transaction, auth, None, DEVICE, None)
        for event, auth in zip(run, (Auth.NONE, Auth.WRONG), strict=True)
    ]


def test_who_proved_itself_is_named_beside_who_it_says_to_be(core: Core) -> None:
    second = register(core, 1, DEVICE, "right", 0.0)
    core.feed(second.replace(b"From: <sip:" + DEVICE.encode(), b"From: <sip:somebody-else"), PEER, 0.0)
    [(_, auth, _, user, proof)] = registrations(core.take_events(10))
    assert (auth, user) == (Auth.VERIFIED, "somebody-else")
    assert proof is not None
    assert proof[0] == DEVICE


def test_each_source_is_its_own() -> None:
    """Its text is made once where it is the same as the one before."""
    core = Core(US, REALM, [*NETWORKS, "2001:db8::/32"], SEED)
    sources = [PEER, (PEER[0], 5061), ("203.0.113.51", 5060), ("2001:db8::1", 5060), PEER]
    body = keepalive.write(sn=1, device_id=NVR)
    for number, source in enumerate(sources):
        core.feed(request("MESSAGE", number, f"Content-Type: {CONTENT_TYPE}", body=body), source, number)
    run = core.take_events(10)
    alive, others = keepalives(run)
    assert alive == [
        (event, event.transaction, DEVICE, source, float(number))
        for number, (event, source) in enumerate(zip(run, sources, strict=True))
    ]
    assert others == []


def test_keepalives_that_say_ok_are_told_from_all_others() -> None:
    well, unwell = keepalive.write(sn=1, device_id=NVR), keepalive.write(sn=2, device_id=NVR, ok=False)
    broken = keepalive.write(sn=3, device_id=NVR, faulty=(PeerName("44010600001320000002"),))
    bodies = [well, unwell, ALARM, b"", well, QUERY, broken, b"<Notify>"]
    run = [message(number, body) for number, body in enumerate(bodies)]
    alive, others = keepalives(run)
    assert [event for event, *_ in alive] == [run[0], run[4]]
    rest = [event for event in run if event not in {run[0], run[4]}]
    assert others == list(zip(rest, heads([event.body for event in rest]), strict=True))


@pytest.mark.parametrize("read", [registrations, keepalives])
def test_what_is_no_event_is_refused(read: object) -> None:
    assert callable(read)
    with pytest.raises(TypeError):
        read([object()])
