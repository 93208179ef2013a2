"""The whole job by TCP and by TLS: one path, whatever carries it; and what a certificate decides."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.config import ConfigError, TlsConfig, load
from gateway.tls import BadCertificate, read_files
from gateway.transports import Agreement
from interop.sim.upper import PlayRefused
from sip._native import Core
from sip.aio.streams import Tls
from tests.clock import run
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    UPPER,
    UPPER_ID,
    By,
    Link,
    World,
    settings_in,
    text,
    world,
)
from tests.sip.bytestreams import Talker
from tests.sip.certificates import Authority
from tests.sip.network import Network, VirtualStack

TCP_BELOW = By("tcp", (OUTER, 5060), 5060)
TCP_ABOVE = By("tcp", (INNER, 5060), 5060)
LISTENING = {
    f'address = "{OUTER}"': f'address = "{OUTER}"\nlisten = [{{ transport = "tcp" }}]',
    f'address = "{INNER}"': f'address = "{INNER}"\nlisten = [{{ transport = "tcp" }}]',
    f'host = "{UPPER}"': f'host = "{UPPER}"\ntransport = "tcp"',
}


class Site:
    """Certificates of everybody, and the configuration of a gateway that speaks TLS alone."""

    def __init__(self, folder: Path, *, lower_by: str = "us", lower_named: str = LOWER_ID) -> None:
        self.us = Authority(folder)
        other = Authority(folder, "somebody else")
        outer = self.us.issue(OUTER_ID, OUTER)
        inner = self.us.issue(INNER_ID, INNER)
        upper = self.us.issue(UPPER_ID, UPPER)
        lower = (self.us if lower_by == "us" else other).issue(lower_named, LOWER)
        self.below = By("tls", (OUTER, 5061), 5061, self.tls(lower))
        self.above = By("tls", (INNER, 5061), 5061, self.tls(upper))
        self.written = text(
            **{
                f'address = "{side}"': f'address = "{side}"\nlisten = [{{ transport = "tls" }}]\n'
                f'tls = {{ certificate = "{file}", authority = "{self.us.authority}" }}'
                for side, file in ((OUTER, outer), (INNER, inner))
            },
            **{
                f'host = "{UPPER}"\nport = 5060': f'host = "{UPPER}"\nport = 5061\ntransport = "tls"',
                f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\ntransport = "tls"\ncertificate = true',
            },
        )

    def tls(self, file: Path) -> Tls:
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for context in (server, client):
            context.check_hostname = False
            context.load_cert_chain(file)
            context.load_verify_locations(self.us.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return Tls(server, client)


async def everything(here: World) -> None:
    """Register, show, play, hang up."""
    await here.shown()
    await here.upper.wait_registered(INNER_ID)
    report = await here.upper.catalog(INNER_ID)
    assert len(report.items) >= len(here.shared())
    async with here.upper.play(here.shared()[0]) as playing:
        await asyncio.sleep(2.0)
        assert playing.report().frames_decoded > 20
    await asyncio.sleep(200.0)  # keepalives both ways
    assert here.gateway.outer.side.as_upper.state()[0].online
    assert here.gateway.inner.side.as_lower.state()[0].registered
    assert here.gateway.orphans == 0


def sip_of(here: World) -> list[bytes]:
    """Every SIP datagram from now on."""
    datagrams: list[bytes] = []

    def note(_at: float, payload: bytes, *_: object) -> None:
        if payload[:1].isalpha():
            datagrams.append(payload)

    here.network.taps.append(note)
    return datagrams


@pytest.mark.parametrize("piece", [None, 5])
def test_the_whole_job_by_tcp_sends_no_sip_in_a_datagram(link: Link, piece: int | None) -> None:
    async def scenario() -> None:
        async with world(link, written=text(**LISTENING), below=TCP_BELOW, above=TCP_ABOVE) as here:
            here.network.wires.piece = piece
            datagrams = sip_of(here)
            await everything(here)
            assert datagrams == []
            for side in (here.gateway.outer, here.gateway.inner):
                assert side.side.endpoint.stack.counters()["now_streams"] == 1

    run(scenario())


def test_after_a_restart_who_came_by_tcp_gets_no_datagram_and_is_asked_once_it_connects(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=text(**LISTENING), below=TCP_BELOW, above=TCP_ABOVE) as here:
            await here.shown()
            datagrams = sip_of(here)
            await here.kill()
            assert here.gateway.outer.side.as_upper.state()[0].online  # as it was stored
            await asyncio.sleep(0.5)  # the upper is dialled anew, as was agreed
            began = here.network.loop.time()
            with pytest.raises(PlayRefused):
                async with here.upper.play(here.shared()[0]):
                    pass
            assert 8.0 <= here.network.loop.time() - began < 9.0  # it did not connect meanwhile
            counters = here.gateway.outer.side.endpoint.stack.counters
            assert counters()["undelivered"] > 0
            await asyncio.sleep(130.0)  # its keepalive finds the connection gone
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(1.0)
                assert playing.report().frames_decoded > 0
            assert datagrams == []

    run(scenario())


def test_the_whole_job_by_tls_with_certificates_both_ways(link: Link, tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        async with world(link, written=site.written, below=site.below, above=site.above) as here:
            said: list[bytes] = []
            here.network.wires.taps.append(lambda data, *_: said.append(data))
            datagrams = sip_of(here)
            await everything(here)
            assert datagrams == []
            assert said
            assert b"REGISTER" not in b"".join(said)

    run(scenario())


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (lambda folder: Site(folder, lower_by="somebody else"), "CERTIFICATE_VERIFY_FAILED"),
        (lambda folder: Site(folder, lower_named="44010600002000000099"), ""),
    ],
    ids=["another authority", "another name"],
)
def test_who_shows_another_certificate_is_not_registered(
    site: Callable[[Path], Site], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        made = site(tmp_path)
        async with world(written=made.written, below=made.below, above=made.above) as here:
            await asyncio.sleep(200.0)
            assert not here.gateway.outer.side.as_upper.state()[0].online
            assert here.gateway.inner.side.as_lower.state()[0].registered

    with caplog.at_level(logging.WARNING, logger="gateway.transports"):
        run(scenario())
    lines = [record for record in caplog.records if record.getMessage() == "tls.refused"]
    assert [line.__dict__["reason"] for line in lines] == ([reason] if reason else [])


def test_a_lower_whose_connection_breaks_comes_back_by_another_and_can_be_played() -> None:
    async def scenario() -> None:
        async with world(written=text(**LISTENING), below=TCP_BELOW, above=TCP_ABOVE) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(1.0)
                here.network.wires.reset(LOWER)
                await asyncio.sleep(100.0)  # its next keepalive goes by a new one, and is followed
            async with here.upper.play(here.shared()[1]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 20
            await asyncio.sleep(100.0)
            assert here.gateway.orphans == 0

    run(scenario())


@pytest.mark.parametrize("answers", [False, True])
def test_no_byte_that_is_no_sip_is_sent_unless_the_peer_is_configured_so(answers: bool) -> None:
    async def scenario() -> None:
        written = text(**LISTENING)
        if answers:
            written = written.replace(f'host = "{UPPER}"', f'host = "{UPPER}"\nanswer_pings = true')
        async with world(written=written, below=TCP_BELOW, above=TCP_ABOVE) as here:
            await here.upper.wait_registered(INNER_ID)
            upper, stranger = Talker(), Talker()
            here.network.wires.connect((UPPER, 0), (INNER, 5060), upper)
            here.network.wires.connect(("203.0.113.99", 0), (OUTER, 5060), stranger)
            await asyncio.sleep(0.1)
            for talker in (upper, stranger):
                talker.end.write(b"\r\n\r\n")
            await asyncio.sleep(1.0)
            assert bytes(upper.heard) == (b"\r\n" if answers else b"")
            assert bytes(stranger.heard) == b""
            upper.end.close()
            stranger.end.close()

    run(scenario())


def test_a_certificate_that_is_none_is_said_before_anything_listens(tmp_path: Path) -> None:
    async def scenario() -> None:
        wrong = tmp_path / "wrong.pem"
        wrong.write_text("no certificate")
        written = text(
            **{
                f'address = "{OUTER}"': f'address = "{OUTER}"\nlisten = [{{ transport = "tls" }}]\n'
                f'tls = {{ certificate = "{wrong}" }}'
            }
        )
        with pytest.raises(ConfigError, match=r"wrong\.pem cannot be used"):
            async with world(written=written):
                pass
        with pytest.raises(BadCertificate, match=r"wrong\.pem cannot be used"):
            read_files(TlsConfig(certificate=str(wrong)))

    run(scenario())


def test_an_upper_that_is_configured_no_more_is_nobody_whose_pings_are_answered() -> None:
    async def scenario() -> None:
        with settings_in(
            text().replace(f'host = "{UPPER}"', f'host = "{UPPER}"\nanswer_pings = true')
        ) as folder:
            own = load(folder / "gateway.toml").inner
        at = (UPPER, 41_000)
        core = Core((INNER, 5060), "r", own.networks, bytes(32))
        stack = VirtualStack(Network(asyncio.get_running_loop()), core)
        agreement = Agreement(stack)
        answered = []
        for now in (own, replace(own, upper=())):
            agreement.take(now)
            connection = stack.accept(at, "tcp")
            stack.feed_stream(connection, b"\r\n\r\n")
            answered.append([data for _, _, data, _, _ in stack.take_orders()])
            stack.closed(connection, "over")
        assert answered == [[b"\r\n"], []]
        stack.close()

    run(scenario())


def test_who_connects_and_says_nothing_is_closed_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with world(written=text(**LISTENING), below=TCP_BELOW, above=TCP_ABOVE) as here:
            await here.shown()
            silent = [Talker() for _ in range(50)]
            for number, talker in enumerate(silent):
                here.network.wires.connect((f"203.0.113.{100 + number}", 0), (OUTER, 5060), talker)
            await asyncio.sleep(30.0)
            assert all(talker.closed for talker in silent)
            assert here.gateway.outer.side.as_upper.state()[0].online

    with caplog.at_level(logging.WARNING, logger="gateway.side.troubles"):
        run(scenario())
    lines = [record.__dict__ for record in caplog.records if record.getMessage() == "sip.trouble"]
    assert [(line["counter"], line["new"]) for line in lines] == [("streams_timed_out", 50)]
