"""Answers of the field as a dialog takes them: where our ACK and BYE go (vectors/answers)."""

import tomllib
from pathlib import Path

import pytest

from sip._native import Core, parse
from sip.dialog import Dialog
from sip.endpoint import Party
from sip.request import build

HERE = Path(__file__).parent / "vectors" / "answers"
EXPECTED = tomllib.loads((HERE / "expected.toml").read_text())
AT_US, AT_CAMERA = ("203.0.113.20", 5060), ("203.0.113.50", 5060)


def test_each_vector_has_its_expectation() -> None:
    assert {path.stem for path in HERE.glob("*.dat")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_requests_go_where_the_vector_says(name: str) -> None:
    us = Party("44010000002000000001", "4401000000")
    camera = Party("44010600001320000001", "203.0.113.50:5060")
    core = Core(AT_US, us.host, ["203.0.113.0/24"], bytes(32))
    invite = build(
        "INVITE",
        camera.uri,
        AT_CAMERA,
        sender=f"<{us.uri}>",
        from_tag="FROM",
        to=f"<{camera.uri}>",
        call_id="CALL",
        cseq=20,
        contact="<sip:44010000002000000001@203.0.113.20:5060>",
    )
    core.send([invite.native], 0.0)
    [(sent, _)] = core.take_outputs()
    branch = (parse(sent).header("Via") or "").partition("branch=")[2].partition(";")[0]
    core.feed((HERE / f"{name}.dat").read_bytes().replace(b"BRANCH", branch.encode()), AT_CAMERA, 0.1)
    [answer] = core.take_events(10)
    dialog = Dialog.placed(invite, answer, "<sip:44010000002000000001@203.0.113.20:5060>")
    host, port = dialog.destination
    assert f"{host}:{port}" == EXPECTED[name]
    bye = dialog.request("BYE")
    assert bye.destination == dialog.destination
    assert ";tag=camera" in dict(bye.headers)["To"]
