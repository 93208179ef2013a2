"""The product's promise: nothing that one network wrote is ever found on the other.

Both peers plant markers wherever they can write anything (`marked.py`); afterwards each marker is
sought, in every form in which it may hide (`markers.py`), in all that the other side sent, logged,
stored and audited, file names included (`apart.py`). Only what a field of a crossing names may be
there, and that must be: so the proof fails in both directions. This file stays for ever.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, get_args, get_origin

import pytest

from cascade import crossing
from cascade.model.ids import ChannelId
from cascade.model.index import FIELDS
from gateway.app import SideName
from gateway.chamber.codec import payloads
from tests.clock import run
from tests.gateway.apart import PREFIX, STORES, Apart
from tests.gateway.cable import HOST
from tests.gateway.leak_acts import played, registration, shown_above, staged, until
from tests.gateway.leak_between import Between, listening
from tests.gateway.leak_plot import Plot
from tests.gateway.markers import WINDOW, Haystack, Marker, Marks, likely, of_address
from tests.gateway.relays import two_hosts
from tests.gateway.world import Link


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where on the other side a field may be found, and where it must be."""

    may: frozenset[str]
    must: frozenset[str]
    why: str


def allowed(may: str, must: str, why: str) -> Allowed:
    return Allowed(frozenset(may.split()), frozenset(must.split()), why)


ours = allowed("", "", "a number, a switch or one of a few words, chosen by us: no peer's text fits")
configured = allowed("log audit store network", "", "an id of the configuration, which both sides have")
shown = allowed("network store", "network store", "a row that the rules share is shown, as it was told")
tree = allowed("network store", "store", "the place of a row: ids of the same list; shown as mapped")
told_on = allowed(
    "network store audit", "network", "what happened, as the device says it; kept for who is away"
)
said = allowed("network audit", "network audit", "the answer to a question that was allowed to cross")

ALLOWED: Final[dict[str, Allowed]] = {
    # Every envelope
    "Envelope.correlation": ours,
    "Envelope.origin": configured,
    "Envelope.users": allowed("audit", "", "who asked: one day a person's id; nobody fills it yet"),
    "Envelope.seconds_left": ours,
    # A name is our key of what a peer calls something; above it is shown under an id that is mapped
    "ChannelId.peer": configured,
    "ChannelId.name": allowed("network store audit log", "store", "the key of a channel that is shared"),
    "PeerState.peer": configured,
    "PeerState.online": ours,
    # Answers
    "Answer.part": ours,
    "Answer.last": ours,
    "NoAnswer.action": ours,
    "NoAnswer.failure": ours,
    "NoAnswer.rule": configured,
    # Rows: each column
    "CatalogBatch.change": ours,
    "CatalogBatch.rows.id": allowed("network store audit log", "network store", "a channel that is shared"),
    "CatalogBatch.rows.name": shown,
    "CatalogBatch.rows.manufacturer": shown,
    "CatalogBatch.rows.model": shown,
    "CatalogBatch.rows.owner": shown,
    "CatalogBatch.rows.civil_code": shown,
    "CatalogBatch.rows.block": shown,
    "CatalogBatch.rows.address": shown,
    "CatalogBatch.rows.parental": ours,
    "CatalogBatch.rows.parent_id": tree,
    "CatalogBatch.rows.safety_way": ours,
    "CatalogBatch.rows.register_way": ours,
    "CatalogBatch.rows.secrecy": ours,
    "CatalogBatch.rows.status": ours,
    "CatalogBatch.rows.longitude": shown,
    "CatalogBatch.rows.latitude": shown,
    "CatalogBatch.rows.business_group_id": tree,
    "CatalogBatch.rows.ptz_type": ours,
    "CatalogBatch.rows.point_type": ours,
    "CatalogBatch.rows.room_type": ours,
    "CatalogBatch.rows.use_type": ours,
    "CatalogBatch.rows.supply_light_type": ours,
    "CatalogBatch.rows.direction_type": ours,
    "CatalogBatch.rows.resolution": shown,
    "CatalogBatch.rows.coordinates": ours,
    "CatalogBatch.rows.branch": tree,
    # Media
    "StreamOpen.action": ours,
    "StreamOpen.stream_number": ours,
    "StreamOpen.invitation": ours,
    "StreamOpen.encodings": ours,
    "StreamOffered.action": ours,
    "StreamOffered.stream": ours,
    "StreamOffered.payload_type": ours,
    "StreamOffered.encoding": ours,
    "StreamOffered.description": said,
    "StreamControl.action": ours,
    "StreamEnded.failure": ours,
    "StreamEnded.reason": ours,
    "StreamEnded.rule": configured,
    "payload of RTP": allowed("network", "network", "picture or voice itself; the timestamp stays with it"),
    # Commands
    "Alarm.letter": ours,
    "Alarm.after": ours,
    "Alarm.source": allowed("network store audit log", "audit", "the channel that raised it, as above"),
    "Alarm.priority": ours,
    "Alarm.method": ours,
    "Alarm.time": ours,
    "Alarm.description": told_on,
    "Alarm.longitude": told_on,
    "Alarm.latitude": told_on,
    "Alarm.kind": ours,
    "Alarm.event": ours,
    "AlarmTaken.letter": ours,
    "AlarmTaken.source": allowed("network store audit log", "", "the channel that raised it, as above"),
    "Broadcast.result": ours,
    "ControlPtz.movement": ours,
    "DeviceInfo.result": ours,
    "DeviceInfo.name": said,
    "DeviceInfo.manufacturer": said,
    "DeviceInfo.model": said,
    "DeviceInfo.firmware": said,
    "DeviceInfo.channels": said,
    "DeviceStatus.result": ours,
    "DeviceStatus.online": ours,
    "DeviceStatus.working": ours,
    "DeviceStatus.reason": said,
    "DeviceStatus.encoding": ours,
    "DeviceStatus.recording": ours,
    "DeviceStatus.device_time": said,
}
"""Each field that can cross, by the types. Who adds one says here what it may carry to where."""

GUESSED: Final = allowed(
    "network log audit", "", "what an upper asks for; our 404 says it back, and we note it"
)
NEVER: Final = Allowed(frozenset(), frozenset(), "no crossing names it")


def fields_that_cross() -> set[str]:
    """Every field of every crossing and command, lists of rows by column, names of channels once."""
    found = {f"Envelope.{name}" for name in crossing.Envelope.__struct_fields__}
    found |= {f"ChannelId.{name}" for name in ChannelId.__struct_fields__}
    found |= {"PeerState.peer", "PeerState.online", "payload of RTP"}
    names = {"channel", "target", "payload", "states"}  # what is made of the above
    for each in get_args(crossing.Crossing):
        envelope = get_origin(each) or each
        own = set(envelope.__struct_fields__) - set(crossing.Envelope.__struct_fields__) - names
        found |= {f"{envelope.__name__}.{name}" for name in own - {"rows"}}
        if "rows" in own:
            found |= {f"{envelope.__name__}.rows.{column}" for column in FIELDS}
    for command in payloads():
        found |= {f"{command.__name__}.{name}" for name in set(command.__struct_fields__) - names}
    return found


def test_leak_table_names_every_field_that_can_cross() -> None:
    """The product's promise is about types: a new field crosses once somebody says here what it carries."""
    assert fields_that_cross() == set(ALLOWED)


# What must hold


def strays(marks: Iterable[Marker], haystacks: dict[str, Haystack]) -> list[str]:
    """What was found where it may not be, and what was not found where it must be."""
    wrong = []
    windows = set[bytes]().union(*(haystack.windows for haystack in haystacks.values()))
    for marker in marks:
        likely_forms = likely(marker, windows)
        rule = {**ALLOWED, "guessed": GUESSED, "": NEVER}[marker.crosses]
        for kind, haystack in haystacks.items():
            form = next((name for name, needle in likely_forms if haystack.holds(needle)), None)
            if form is not None and kind not in rule.may:
                wrong.append(f"{marker.place} is in the other's {kind} ({form}): {haystack.where(marker)}")
            if form is None and kind in rule.must:
                wrong.append(f"{marker.place} is missing in the other's {kind}")
    return wrong


# What our own side says to its peer is its own as well


TOLD: Final = (
    ("Call-ID", re.compile(rb"^(?:Call-ID|i):\s*([^\s@]+)", re.M | re.I)),
    ("branch", re.compile(rb"branch=z9hG4bK([^;\s,]+)", re.I)),
    ("tag", re.compile(rb";tag=([^;\s,>]+)", re.I)),
    ("digest", re.compile(rb'(?:nonce|response|opaque)="([^"]+)"', re.I)),
    ("SN", re.compile(rb"<SN>(\d+)</SN>")),
    ("SSRC", re.compile(rb"^y=(\d+)", re.M)),
    ("address", re.compile(rb"\b((?:203\.0\.113|198\.51\.100)\.\d+)\b")),
)
"""What SIP, SDP and XML name their own things by; none of it may be the same on both sides."""


def told(haystack: Apart, side: SideName, marks: Marks) -> None:
    """Plant, afterwards, what was said in that network by whomever, ourselves included."""
    for payload, source, _ in haystack.datagrams:
        if not source[0].startswith(PREFIX[side]) or not payload[:1].isalpha():
            continue
        for name, pattern in TOLD:
            for found in pattern.findall(payload):
                text = found.decode("gb18030", "replace")
                if name in ("SN", "SSRC"):
                    if 1 << 26 <= int(text) < 1 << 32:  # small ones are found everywhere
                        marks.known_number(f"{name} in {side}", int(text))
                elif len(text) >= 8:
                    marks.known(f"{name} in {side}", text)


def leaks(here: Apart, plot: Plot) -> list[str]:
    """Whatever of one side is on the other and may not be there, or should be and is not."""
    for side, marks in ((plot.below, plot.marks_below), (plot.above, plot.marks_above)):
        told(here, side, marks)
    found = strays(plot.marks_below.planted, here.haystacks(plot.above))
    return found + strays(plot.marks_above.planted, here.haystacks(plot.below))


PICTURE: Final = "payload of RTP"
NUMBERS: Final = frozenset({"DeviceInfo.channels"})
"""Bare numbers, which a frame carries as such and not as digits."""


def between_hosts(here: Apart, plot: Plot, between: Between) -> list[str]:
    """What either host tells the other, in frames and packets, that no crossing names; what it should tell
    and does not; and what a network is told of the addresses between the hosts."""
    wrong = []
    for side, marks in ((plot.below, plot.marks_below), (plot.above, plot.marks_above)):
        haystacks = between.haystacks(here, side)
        for marker in marks.planted:
            where = "packets" if marker.crosses == PICTURE else "frames"
            named = marker.crosses in ALLOWED
            must = named and "network" in ALLOWED[marker.crosses].must and marker.crosses not in NUMBERS
            for kind, haystack in haystacks.items():
                form = haystack.form_of(marker)
                if form is not None and not (named and kind == where):
                    wrong.append(f"{marker.place} is in the {kind} ({form}): {haystack.where(marker)}")
                if form is None and must and kind == where:
                    wrong.append(f"{marker.place} is missing in the {kind}")
        network = here.kept[side]["network"]
        for host in HOST.values():
            forms = (needle for _, needle in of_address(host) if len(needle) >= WINDOW)
            seen = [needle for needle in forms if any(needle in piece for piece in network)]
            wrong += [f"an address between the hosts is in {side}'s network: {needle!r}" for needle in seen]
    return wrong


@pytest.mark.parametrize(
    ("store", "below"), [("memory-store", "outer"), ("memory-store", "inner"), ("sqlite-store", "outer")]
)
def test_leak_nothing_of_one_network_is_found_on_the_other(link: Link, store: str, below: SideName) -> None:
    """The product's promise, whole: each marker of either peer, in each form, sought on the other side."""
    plot = Plot(below)
    with listening() as between:
        here = run(played(link, plot, STORES[store]), seconds=20_000)
    assert len(plot.marks_below.planted) > 1500
    assert len(plot.marks_above.planted) > 1500
    found = leaks(here, plot)
    if link is two_hosts:
        found += between_hosts(here, plot, between)
    assert not found, "\n".join([f"{len(found)} leaks", *found[:80]])


@pytest.mark.parametrize("store", ["memory-store", "sqlite-store"])
def test_leak_a_camera_shared_by_its_id_names_nothing_of_the_kept_branch_above_it(
    link: Link, store: str
) -> None:
    """The product's promise holds for places too: what is above a shared camera and kept is named to nobody.

    The row says in its parent_id and in its branch where it stands, and the far door's rules go by
    that: so a veil stands there for what is kept, which means to the rules what it hides, and the near
    door still refuses to show the camera by the rule about the branch around it.
    """
    plot = Plot("outer")
    marks = plot.marks_below
    plot.single = plot.id(marks, "a single camera", 132, crosses="CatalogBatch.rows.id")
    plot.deep = plot.id(marks, "a single camera, deeper", 132, crosses="CatalogBatch.rows.id")
    plot.within = plot.id(marks, "an organisation in the kept branch", 216)

    async def scenario() -> Apart:
        async with staged(link, plot, STORES[store]) as stage:
            await registration(stage)
            await until(lambda: {plot.single, plot.deep} <= shown_above(stage))
            pages = await stage.upper.asks("Catalog", stage.upper.us, "catalog query")
            for camera in (plot.single, plot.deep):
                assert any(camera.encode() in page.body for page in pages)
                status = await stage.upper.ask(
                    stage.upper.query("DeviceInfo", camera, f"question about {camera}", tail=False)
                )
                assert status is not None
                assert status.status == 403
        return stage.here

    here = run(scenario())
    haystacks = here.haystacks(plot.above)
    for hidden in (plot.kept_branch, plot.within):
        (kept,) = (marker for marker in marks.planted if marker.value == hidden)
        assert [kind for kind, haystack in haystacks.items() if haystack.form_of(kept)] == []
    audit = (line for kept in here.kept[plot.above]["audit"] for line in kept.splitlines())
    refused = [record for record in map(json.loads, audit) if record.get("verdict") == "refused"]
    told = {(each["rule"], each["subjects"][0][-20:]) for each in refused if each["door"] == "send"}
    assert told == {
        ("keep-ask", plot.single),
        ("keep-ask", plot.deep),
    }
