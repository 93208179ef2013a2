"""The leak proof's own proof: the search finds what is hidden, and a gateway that leaks is caught."""

import asyncio
import base64
import binascii
import json
import struct
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from cascade.crossing import CatalogBatch, Crossing, StreamOffered
from cascade.model.index import Rows
from gateway.chamber.link import LinkEnd, Signal
from gateway.chamber.link.frames import Kind
from tests.clock import run
from tests.gateway.apart import STORES, Apart
from tests.gateway.leak_acts import registration, shown_above, staged, until
from tests.gateway.leak_between import listening
from tests.gateway.leak_plot import Plot
from tests.gateway.leak_voice import voice
from tests.gateway.markers import Haystack, Marks
from tests.gateway.relays import two_hosts
from tests.gateway.test_leak import between_hosts, leaks
from tests.gateway.world import LINKS, Link


def dressed(text: str) -> dict[str, bytes]:
    """A text as somebody might hide it, written otherwise than the search does."""
    raws = {name: text.encode(name) for name in ("utf-8", "gb18030", "utf-16-le", "utf-16-be")}
    hidden = dict(raws)
    for name, raw in raws.items():
        hidden[f"{name} hex"] = binascii.hexlify(raw)
        hidden[f"{name} HEX"] = binascii.hexlify(raw).upper()
        hidden[f"{name} percent"] = b"".join(b"%%%02X" % byte for byte in raw)
        for before in (b"", b"x", b"xy"):
            hidden[f"{name} Base64 behind {len(before)}"] = base64.b64encode(before + raw + b"...")
            hidden[f"{name} URL-safe Base64 behind {len(before)}"] = base64.urlsafe_b64encode(before + raw)
    return hidden | {"quoted": quote(text, safe="").encode(), "JSON": json.dumps([text]).encode()}


@pytest.mark.parametrize("place", ["header", "column"])
def test_leak_search_finds_every_form_of_a_text(place: str) -> None:
    """The product's promise is worth what the search finds: texts, in every charset and dress."""
    marks = Marks(5)
    text = marks.text(place) if place == "header" else marks.words(place)
    marker = marks.planted[-1]
    for name, hidden in dressed(text[:12]).items():
        assert Haystack({b"before " + hidden + b" behind": "?"}).form_of(marker), name
    if place == "column":
        chinese = marks.planted[0]
        for name, hidden in dressed(chinese.value).items():
            assert Haystack({b"before " + hidden + b" behind": "?"}).form_of(chinese), name
    assert Haystack({b"something else altogether": "?"}).form_of(marker) is None


def test_leak_search_finds_every_form_of_an_address() -> None:
    """The product's promise names addresses as integers too, in both byte orders."""
    marks = Marks(6)
    marks.known("host", "10.23.45.167")
    (marker,) = marks.planted
    number = int(ip_address("10.23.45.167"))
    swapped = int.from_bytes(number.to_bytes(4, "little"), "big")
    hidden = {
        "decimal": b"%d" % number,
        "decimal, swapped": b"%d" % swapped,
        "hex": b"%08x" % number,
        "HEX": b"0x%08X" % number,
        "hex, swapped": b"%08x" % swapped,
        "network order": number.to_bytes(4, "big"),
        "host order": number.to_bytes(4, "little"),
        "in-addr.arpa": b"167.45.23.10.in-addr.arpa",
        "mapped": b"::ffff:a17:2da7",
        "mapped, dotted": b"::ffff:10.23.45.167",
        "padded": b"010.023.045.167",
        "in a URL": b"http%3A%2F%2F10.23.45.167%2F",
    }
    for name, form in (hidden | dressed("10.23.45.167")).items():
        assert Haystack({b"<" + form + b">": "?"}).form_of(marker), name


def test_leak_search_finds_every_form_of_a_number() -> None:
    """The product's promise holds for an SSRC and an SN as well."""
    marks = Marks(7)
    number = marks.number("SSRC")
    (marker,) = marks.planted
    for order in ("<", ">"):
        raw = struct.pack(f"{order}I", number)
        for form in (raw, raw.hex().encode(), raw.hex().upper().encode(), b"%d" % int.from_bytes(raw, "big")):
            assert Haystack({b"y=" + form: "?"}).form_of(marker), form


class Leaking:
    """A link with something to hide: what it lets through is not what was judged."""

    def __init__(self, end: LinkEnd, change: Callable[[Crossing], Crossing]) -> None:
        self._end = end
        self._change = change

    @property
    def up(self) -> bool:
        return self._end.up

    @property
    def linked(self) -> bool:
        return self._end.linked

    @property
    def on_signal(self) -> Callable[[Signal], None]:
        return self._end.on_signal

    @on_signal.setter
    def on_signal(self, gate: Callable[[Signal], None]) -> None:
        self._end.on_signal = gate

    def signal(self, signal: Signal) -> None:
        self._end.signal(signal)

    @property
    def on_arrival(self) -> Callable[[Crossing], None]:
        return self._end.on_arrival

    @on_arrival.setter
    def on_arrival(self, gate: Callable[[Crossing], None]) -> None:
        self._end.on_arrival = gate

    def deliver(self, sent: Crossing) -> None:
        self._end.deliver(self._change(sent))


def with_columns(sent: Crossing, **columns: str) -> Crossing:
    if not (isinstance(sent, CatalogBatch) and sent.change == "present"):
        return sent
    return replace(sent, rows=Rows.build([sent.rows.get(at) | columns for at in range(len(sent.rows))]))


def in_base64(sent: Crossing, plot: Plot) -> Crossing:
    secret = base64.b64encode(ip_address(plot.lower_host).packed + plot.lower_host.encode()).decode()
    return with_columns(sent, model=secret)


def without_names(sent: Crossing, _plot: Plot) -> Crossing:
    return with_columns(sent, name="-")


def with_its_speaker(sent: Crossing, plot: Plot) -> Crossing:
    """An offer of a voice whose f= says, backwards, who speaks."""
    return replace(sent, description=plot.upper_host[::-1]) if isinstance(sent, StreamOffered) else sent


def without_a_format(sent: Crossing, _plot: Plot) -> Crossing:
    return replace(sent, description="") if isinstance(sent, StreamOffered) else sent


async def glimpsed(link: Link, plot: Plot) -> Apart:
    async with staged(link, plot, STORES["memory-store"]) as stage:
        await registration(stage)
        await until(lambda: set(stage.lower.shown) <= shown_above(stage))
        await stage.upper.asks("Catalog", stage.upper.us, "catalog query")
    return stage.here


async def overheard(link: Link, plot: Plot) -> Apart:
    async with staged(link, plot, STORES["memory-store"]) as stage:
        await registration(stage)
        await until(lambda: set(stage.lower.shown) <= shown_above(stage))
        await voice(stage, "upper")
    return stage.here


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (in_base64, "the lower's address is in the other's network (utf-8, Base64 at"),
        (without_names, "name is missing in the other's store"),
    ],
)
def test_leak_proof_sees_a_crossing_that_leaks_and_one_that_loses(
    link: Link, change: Callable[[Crossing, Plot], Crossing], where: str
) -> None:
    """The product's promise is proven by a test that can fail: both ways, and says where."""
    plot = Plot("outer")

    def leaking(loop: asyncio.AbstractEventLoop) -> tuple[LinkEnd, LinkEnd]:
        outer, inner = link(loop)
        return Leaking(outer, lambda sent: change(sent, plot)), inner

    found = leaks(run(glimpsed(leaking, plot)), plot)
    assert any(where in leak for leak in found), found


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (with_its_speaker, "the upper's address is in the other's network (reversed"),
        (without_a_format, "f= is missing in the other's network"),
    ],
)
def test_leak_proof_sees_a_voice_that_leaks_and_one_that_loses(
    link: Link, change: Callable[[Crossing, Plot], Crossing], where: str
) -> None:
    """The product's promise is proven downward too: what is said of a voice is what its field may carry."""
    plot = Plot("outer")

    def leaking(loop: asyncio.AbstractEventLoop) -> tuple[LinkEnd, LinkEnd]:
        outer, inner = link(loop)
        return outer, Leaking(inner, lambda sent: change(sent, plot))

    found = leaks(run(overheard(leaking, plot)), plot)
    assert any(where in leak for leak in found), found


def test_leak_proof_sees_an_echo_on_the_wire() -> None:
    """The product's promise is about the wire: one datagram with one foreign Call-ID breaks it."""
    plot = Plot("outer")

    async def echoed() -> Apart:
        async with staged(LINKS["memory"], plot, STORES["memory-store"]) as stage:
            await registration(stage)
            call = next(m.value for m in plot.marks_below.planted if m.place == "lower: REGISTER, Call-ID")
            port = stage.here.network.datagrams((stage.upper.address[0], 9), lambda *_: None)
            port.send(b"X: " + call.encode("utf-16-be").hex().encode(), stage.upper.gateway)
            port.close()
        return stage.here

    found = leaks(run(echoed()), plot)
    assert [leak.partition(" (")[0] for leak in found if "missing" not in leak] == [
        "lower: REGISTER, Call-ID is in the other's network"
    ]


def test_leak_proof_hears_what_two_hosts_say() -> None:
    """The product's promise is about the wire between the hosts too: a name in a frame breaks it."""
    plot = Plot("outer")
    with listening() as between:
        here = run(glimpsed(two_hosts, plot))
    assert [leak for leak in between_hosts(here, plot, between) if "missing" not in leak] == []
    call = next(m.value for m in plot.marks_below.planted if m.place == "lower: REGISTER, Call-ID")
    between.frames["outer"].append((Kind.CROSSING, b"X" + call.encode("utf-16-be")))
    found = [leak for leak in between_hosts(here, plot, between) if "missing" not in leak]
    assert [leak.partition(" (")[0] for leak in found] == ["lower: REGISTER, Call-ID is in the frames"]
    between.frames["outer"].clear()
    assert any(leak.endswith("name is missing in the frames") for leak in between_hosts(here, plot, between))
