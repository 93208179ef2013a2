"""What whole answers of the field come to: trees, catalog syncs, leases, numbers, wishes; one vector each."""

import itertools
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.accepting import Refusal, Wish
from cascade.addresses import Networks
from cascade.as_lower.invite import decide, has_media
from cascade.as_upper.registrar import Registrar
from cascade.as_upper.sync import CatalogSync, Finished, Query
from cascade.errors import Unacceptable
from cascade.manscdp import catalog
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Mapping, Rows
from cascade.model.serials import Serials
from cascade.placing import agree
from cascade.sdp import read_answer
from sip._native import parse
from tests.cascade.lowers import like, lower
from tests.cascade.test_registrar import NVR, REGISTER, WALL, Request, judged, keepalives
from tests.cascade.test_sync import Page
from tests.cascade.vectors import Vector, vectors

HERE = Path(__file__).parent / "vectors"
OWN = "44010000002000000001"
UPPER = PlatformId("44000000002000000001")
PEER = lower(NVR, networks=("203.0.113.0/24",))
CAMERA, GROUP, UNKNOWN = "44010600001320000001", "44010600002150000001", "44010600001329999999"
OURS = 100_000_001


def table(name: str) -> pytest.MarkDecorator:
    """Run a test once for each entry of that file."""
    entries = tomllib.loads((HERE / f"{name}.toml").read_text("utf-8"))
    assert entries
    return pytest.mark.parametrize("entry", list(entries.values()), ids=list(entries))


@vectors("tree")
def test_trees_are_as_the_vectors_say(vector: Vector) -> None:
    index = Index()
    index.apply(NVR, Rows.build(vector.expected.get("known", [])), complete=True)
    system = vector.expected.get("coordinates", PEER.coordinates)
    delta = index.apply(NVR, catalog.read(vector.body).rows.located(system), complete=True)
    assert delta.loops == vector.expected.get("loops", 0)
    snapshot, mapping = index.snapshot(), Mapping(OWN, [])
    mapping.assign(snapshot)
    body, _ = catalog.write_catalog(
        snapshot, mapping, 0, sn=1, device_id=OWN, own={"id": OWN}, max_bytes=60_000, max_items=100
    )
    rows = catalog.read(body).rows
    above = {row["id"]: row for row in (rows.get(number) for number in range(len(rows)))}
    for name, expected in vector.expected["rows"].items():
        row = index.find(NVR, name)
        assert row is not None
        written = above[mapping.shown(NVR, name) or ""]
        found = {
            "branch": row.get("branch", ""),
            "plays": has_media(ChannelId(NVR, PeerName(name))),
            "shown_parent": written.get("parent_id", ""),
            "shown_status": written.get("status", ""),
            "place": " ".join(row.get(field, "-") for field in ("longitude", "latitude", "coordinates")),
            "shown_place": " ".join(
                written.get(field, "-") for field in ("longitude", "latitude", "coordinates")
            ),
        }
        assert {key: found[key] for key in expected} == expected


@table("sync")
def test_syncs_end_as_the_vectors_say(entry: dict[str, Any]) -> None:
    sync = CatalogSync(Serials(itertools.count(41).__next__))
    sync.start(PEER, 0.0, known=entry.get("known", 0))
    (query,) = sync.advance(0.0)
    assert isinstance(query, Query)
    finished: list[Finished] = []
    for step in entry["steps"]:
        at, what, *rest = step.split()
        while sync.deadline is not None and sync.deadline < float(at):
            due = sync.advance(sync.deadline)
            finished += [output for output in due if isinstance(output, Finished)]
            assert not any(isinstance(output, Query) for output in due)
        if what == "query":
            assert any(isinstance(output, Query) for output in sync.advance(float(at)))
        else:
            said = rest[0].rstrip(":")
            page = Page(str(query.sn), None if said == "-" else int(said), tuple(map(int, rest[1:])))
            result = sync.take(NVR, page, float(at))
            finished += [result] if result is not None else []
    (result,) = finished
    assert (result.outcome, len(result.rows)) == (entry["outcome"], entry["got"])
    assert result.complete == entry.get("complete", True)


@table("leases")
def test_leases_go_as_the_vectors_say(entry: dict[str, Any]) -> None:
    one = Registrar({NVR: PEER})
    judged(one, [replace(REGISTER, expires=3600)], 0.0, WALL)
    read = entry.get("read", [])
    for number, step in enumerate(entry["steps"]):
        arrived, status = step.split()
        if not read:
            one.advance(float(arrived))
        assert keepalives(one, [Request(arrived=float(arrived))]) == [(1, int(status))]
        if read:
            one.advance(float(read[number]))
    for pause in entry.get("held_up", []):
        seconds, until = map(float, pause.split())
        one.held_up(seconds, until)
    one.advance(entry["gone"] - 0.1)
    assert one.lease(NVR) is not None
    one.advance(entry["gone"])
    assert one.lease(NVR) is None


@table("agree")
def test_numbers_are_agreed_as_the_vectors_say(entry: dict[str, Any]) -> None:
    y = f"y={entry['answer']}\r\n" if "answer" in entry else ""
    body = (
        "v=0\r\no=x 0 0 IN IP4 203.0.113.50\r\ns=Play\r\nc=IN IP4 203.0.113.51\r\nt=0 0\r\n"
        f"m=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\n{y}"
    )
    answer, networks = read_answer(body.encode()), Networks(PEER.networks)
    peer = like(PEER, ssrc=entry["mode"])
    if entry["ssrc"] == "refused":
        with pytest.raises(Unacceptable):
            agree(peer, answer, OURS, "203.0.113.50", networks)
        return
    agreed = agree(peer, answer, OURS, "203.0.113.50", networks)
    assert ("wire" if agreed.ssrc is None else str(agreed.ssrc)) == entry["ssrc"]


@table("wishes")
def test_wishes_are_found_as_the_vectors_say(entry: dict[str, Any]) -> None:
    names = {"C": CAMERA, "P": OWN, "X": UNKNOWN, "G": GROUP}

    def filled(text: str) -> str:
        for letter, name in names.items():
            text = text.replace(letter, name)
        return text

    u = f"u={filled(entry['u'])}\r\n" if "u" in entry else ""
    body = (
        f"v=0\r\no={UPPER} 0 0 IN IP4 198.51.100.10\r\ns=Play\r\n{u}c=IN IP4 198.51.100.11\r\nt=0 0\r\n"
        "m=video 40000 RTP/AVP 96\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\ny=0100000001\r\n"
    ).encode()
    lines = [
        f"INVITE sip:{filled(entry['uri'])}@198.51.100.20:5060 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.10:5060;rport;branch=z9hG4bKq1",
        f"From: <sip:{UPPER}@4400000000>;tag=q1",
        f"To: <sip:{filled(entry.get('to', 'P'))}@4401000000>",
        "Call-ID: c-900@198.51.100.10",
        "CSeq: 1 INVITE",
        f"Subject: {filled(entry['subject'])}",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    event = parse("\r\n".join([*lines, "", ""]).encode() + body)

    def resolve(shown: str) -> ChannelId | None:
        return ChannelId(NVR, PeerName(shown)) if shown in (CAMERA, GROUP) else None

    found = decide(event, UPPER, resolve, Networks(["198.51.100.0/24"]))
    if entry["finds"]:
        assert isinstance(found, Wish)
        assert found.channel.name == CAMERA
    else:
        assert isinstance(found, Refusal)
        assert found.status == 404
