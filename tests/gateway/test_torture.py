"""Each message of RFC 4475 and RFC 5118 has one outcome, written beside it, for whoever sends it.

The messages were composed here, one for each point of both; where those that the RFCs print stand beside
the project, they have the same outcomes.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.gateway.torture import FORMS, OWN, RFCS, ROLES, Form, Role, outcomes
from tests.sip.conformance import table

EXPECTED: Final = tomllib.loads((OWN / "conformance.toml").read_text("utf-8"))
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "conformance.md"

sent = cache(outcomes)


def check(rfc: str, name: str, role: Role, form: Form) -> None:
    row = EXPECTED[rfc][name]
    streamed = row if form == "datagram" else row.get("stream", row)
    assert sent(OWN / rfc, role, form)[name] == streamed[role]
    if (RFCS / rfc / f"{name}.dat").exists():
        printed = streamed if form == "datagram" else row.get("printed", streamed)
        assert sent(RFCS / rfc, role, form)[name] == printed[role]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", EXPECTED["rfc4475"])
def test_rfc4475(name: str, role: Role, form: Form) -> None:
    check("rfc4475", name, role, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", EXPECTED["rfc5118"])
def test_rfc5118(name: str, role: Role, form: Form) -> None:
    check("rfc5118", name, role, form)


@pytest.mark.parametrize(("rfc", "points"), [("rfc4475", 49), ("rfc5118", 12)])
def test_every_point_has_its_message_and_its_outcome(rfc: str, points: int) -> None:
    assert {path.stem for path in (OWN / rfc).glob("*.dat")} == set(EXPECTED[rfc])
    assert len(EXPECTED[rfc]) == points


def test_the_document_tells_the_same() -> None:
    assert table(EXPECTED) in DOCUMENT.read_text("utf-8")
