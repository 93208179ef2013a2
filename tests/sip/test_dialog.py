import pytest

from sip._native import Core
from sip.dialog import MAX_ROUTES, Dialog, Reachable, key_of
from sip.events import Address, Event
from tests.sip.ground import AT_CAMERA, AT_GATEWAY, header

US = "<sip:us@203.0.113.20:5060>"


def core() -> Core:
    return Core(AT_GATEWAY, "r", ["0.0.0.0/0"], bytes(32))


def event_of(engine: Core, text: str, source: Address) -> Event:
    engine.feed(text.replace("\n", "\r\n").encode(), source, 0.0)
    [event] = [event for event in engine.take_events(10) if event.status != 100]
    return event


def invite(extra: str = "", *, to: str = "<sip:us@r>", source: Address = AT_CAMERA, cseq: int = 7) -> Event:
    return event_of(
        core(),
        f"INVITE sip:us@r SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.50:5060;branch=z9hG4bKi{cseq};rport\n"
        f'From: "Upper; one" <sip:upper@r>;tag=u1\nTo: {to}\nCall-ID: c1\nCSeq: {cseq} INVITE\n{extra}'
        "Content-Length: 0\n\n",
        source,
    )


def accepted(extra: str, *, source: Address = AT_CAMERA, reachable: Reachable | None = None) -> Dialog:
    return Dialog.accepted(invite(extra, source=source), US, reachable=reachable)


CONTACT = "Contact: <sip:upper@192.168.1.9:5070>\n"
AT_CONTACT = ("192.168.1.9", 5070)
ROUTES = "Record-Route: <sip:10.0.0.1;lr>, <sip:10.0.0.2:5062;lr>\n"


@pytest.mark.parametrize(
    ("extra", "source", "reachable", "uri", "destination"),
    [
        pytest.param("", AT_CAMERA, None, "sip:upper@203.0.113.50:5060", AT_CAMERA, id="no Contact"),
        pytest.param(
            "Contact: <tel:110>\n", AT_CAMERA, None, "sip:upper@203.0.113.50:5060", AT_CAMERA, id="no SIP"
        ),
        pytest.param(CONTACT, AT_CAMERA, None, "sip:upper@192.168.1.9:5070", AT_CAMERA, id="private Contact"),
        pytest.param(
            CONTACT,
            ("192.168.1.9", 40000),
            None,
            "sip:upper@192.168.1.9:5070",
            AT_CONTACT,
            id="its own address",
        ),
        pytest.param(
            CONTACT,
            AT_CAMERA,
            lambda host: True,
            "sip:upper@192.168.1.9:5070",
            AT_CONTACT,
            id="known to be near",
        ),
        pytest.param(
            "Contact: <sip:u@camera.example>\n",
            AT_CAMERA,
            lambda host: True,
            "sip:u@camera.example",
            AT_CAMERA,
            id="a name",
        ),
    ],
)
def test_requests_go_to_the_contact_if_it_can_be_reached_else_to_the_source(
    extra: str, source: Address, reachable: Reachable | None, uri: str, destination: Address
) -> None:
    dialog = accepted(extra, source=source, reachable=reachable)
    assert dialog.destination == destination
    bye = dialog.request("BYE")
    assert (bye.uri, bye.destination) == (uri, destination)


def test_a_request_within_carries_the_dialog() -> None:
    bye = dict(accepted(CONTACT).request("BYE").headers)
    local_tag = bye["From"].partition(";tag=")[2]
    assert len(local_tag) >= 8
    assert bye["From"].startswith("<sip:us@r>;tag=")
    assert bye["To"] == '"Upper; one" <sip:upper@r>;tag=u1'
    assert (bye["Call-ID"], bye["CSeq"], bye["Max-Forwards"]) == ("c1", "1 BYE", "70")
    assert "Contact" not in bye


def test_numbers_go_on_within_the_dialog() -> None:
    dialog = accepted(CONTACT)
    assert [dialog.request("INFO").cseq for _ in range(3)] == [1, 2, 3]


def test_routes_are_kept_in_their_order_by_who_accepts() -> None:
    dialog = accepted(CONTACT + ROUTES, reachable=lambda host: True)
    bye = dialog.request("BYE")
    assert (bye.uri, bye.destination) == ("sip:upper@192.168.1.9:5070", ("10.0.0.1", 5060))
    assert [value for name, value in bye.headers if name == "Route"] == [
        "<sip:10.0.0.1;lr>",
        "<sip:10.0.0.2:5062;lr>",
    ]


def test_a_strict_router_gets_itself_as_request_uri_and_the_target_last() -> None:
    dialog = accepted(CONTACT + ROUTES.replace(";lr", ""), reachable=lambda host: True)
    bye = dialog.request("BYE")
    assert bye.uri == "sip:10.0.0.1"
    assert [value for name, value in bye.headers if name == "Route"] == [
        "<sip:10.0.0.2:5062>",
        "<sip:upper@192.168.1.9:5070>",
    ]


def test_routes_that_can_not_be_read_or_are_too_many_are_left_out() -> None:
    routes = "".join(f"Record-Route: <sip:10.0.0.{n};lr>, nonsense\n" for n in range(30))
    bye = accepted(CONTACT + routes).request("BYE")
    assert len([name for name, _ in bye.headers if name == "Route"]) == MAX_ROUTES


def placed(answer: str) -> tuple[Dialog, Event]:
    engine = core()
    asked = Dialog.accepted(invite(), US).request("INVITE")  # any INVITE of ours will do
    engine.send([asked.native], 0.0)
    [(payload, _)] = engine.take_outputs()
    sent = payload.decode()
    event = event_of(
        engine,
        f"SIP/2.0 200 OK\nVia: {header(sent, 'Via')}\nFrom: {header(sent, 'From')}\n"
        f"To: {asked.to};tag=n1\nCall-ID: c1\nCSeq: {asked.cseq} INVITE\n{answer}Content-Length: 0\n\n",
        AT_CAMERA,
    )
    return Dialog.placed(asked, event, US), event


def test_routes_are_turned_round_by_who_placed_the_call() -> None:
    dialog, _ = placed(CONTACT + ROUTES)
    ack = dialog.ack(5, 1)
    assert [value for name, value in ack.headers if name == "Route"] == [
        "<sip:10.0.0.2:5062;lr>",
        "<sip:10.0.0.1;lr>",
    ]
    assert (ack.method, ack.cseq, ack.ack_for, ack.destination) == ("ACK", 1, 5, AT_CAMERA)
    assert dialog.request("BYE").cseq == 2
    assert dialog.key[2] == "n1"


def test_requests_of_theirs_are_in_order_or_not() -> None:
    dialog = accepted(CONTACT)
    assert dialog.in_order(invite(cseq=7))
    assert dialog.in_order(invite(cseq=9, source=("203.0.113.50", 40001)))
    assert not dialog.in_order(invite(cseq=8))
    assert dialog.destination == ("203.0.113.50", 40001), "a binding of NAT may move"


def test_a_request_finds_its_dialog_by_call_id_and_both_tags() -> None:
    dialog = accepted(CONTACT)
    within = invite(to=f"<sip:us@r>;tag={dialog.local_tag}", cseq=8)
    assert key_of(within) == dialog.key
    assert key_of(invite(cseq=8)) != dialog.key
