"""Certificates, networks and quotas of a side while the gateway runs: new ones count, what stands stays."""

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from gateway.outcome import lines
from gateway.words import ENGLISH
from sip.aio.secured import Secured
from tests.clock import run
from tests.gateway.test_alarms import WITH_ALARMS, ready
from tests.gateway.test_alarms_kept import kept, ring, told
from tests.gateway.test_reload_peers import SECOND, SECOND_ID, secrets
from tests.gateway.test_rules_reload import keeper_of, write
from tests.gateway.test_transports import LISTENING, TCP_ABOVE, TCP_BELOW, Site
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    OUTER,
    OUTER_ID,
    UPPER,
    Link,
    Wire,
    World,
    text,
    world,
)
from tests.sip.bytestreams import Talker

NETWORKS = 'networks = ["203.0.113.0/24"]'


def serial(file: Path) -> int:
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


async def shown_by(here: World, site: Site) -> int:
    """The serial number of the certificate that the outer side shows to who connects now."""
    shown: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(site.us.authority)
    secured = Secured(context, server=False)

    class Guest(Talker):
        def data_received(self, data: bytes) -> None:
            secured.feed(data)
            self.end.write(secured.output())
            if secured.established:
                shown.append(secured._tls.getpeercert(binary_form=True) or b"")

    guest = Guest()
    here.network.wires.connect((LOWER, 0), (OUTER, 5061), guest)
    await asyncio.sleep(0.1)
    secured.feed(b"")
    guest.end.write(secured.output())
    await asyncio.sleep(0.5)
    guest.end.close()
    return x509.load_der_x509_certificate(shown[0]).serial_number


def test_a_certificate_that_is_renewed_is_shown_from_then_on_and_nobody_loses_a_connection(
    link: Link, tmp_path: Path
) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        async with world(link, written=site.written, below=site.below, above=site.above) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            keeper = keeper_of(here)
            first = serial(tmp_path / f"{OUTER_ID}.pem")
            assert await shown_by(here, site) == first
            async with here.upper.play(here.shared()[0]) as playing:
                renewed = serial(site.us.issue(OUTER_ID, OUTER))  # at the same place
                assert await shown_by(here, site) == first, "nobody has said that it counts"
                outcome = await keeper.reload()
                assert outcome.taken
                assert any(
                    "Other certificates" in line and "outer side" in line for line in lines(outcome, ENGLISH)
                )
                assert await shown_by(here, site) == renewed
                before = playing.report().frames_decoded
                await asyncio.sleep(100.0)  # keepalives go on by the old connections
                assert playing.ended is None
                assert playing.report().frames_decoded > before + 2000
            for side in (here.gateway.outer, here.gateway.inner):
                assert side.side.endpoint.stack.counters()["now_streams"] == 1
            (note,) = [each for each in here.audit("outer") if each.get("event") == "configuration-reloaded"]
            assert note["details"]["certificates"] == "outer"
            outcome = await keeper.reload()
            assert not any("certificates" in line for line in lines(outcome, ENGLISH)), "it is in force now"

    run(scenario())


@pytest.mark.parametrize("spoilt", ["certificate", "authority", "key"])
def test_a_certificate_that_cannot_be_used_changes_nothing(tmp_path: Path, spoilt: str) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        async with world(written=site.written, below=site.below, above=site.above) as here:
            await here.shown()
            keeper = keeper_of(here)
            own = tmp_path / f"{OUTER_ID}.pem"
            first, authority = serial(own), site.us.authority.read_bytes()
            if spoilt == "certificate":
                own.write_text("no certificate")
            elif spoilt == "authority":
                site.us.authority.write_text("no authority")
            else:
                pem = own.read_text()
                other = site.us.issue("another", OUTER).read_text()
                own.write_text(
                    pem[: pem.index("-----BEGIN PRIVATE")] + other[other.index("-----BEGIN PRIVATE") :]
                )
            outcome = await keeper.reload()
            assert not outcome.taken
            problem, *_ = outcome.problems
            assert "cannot be used" in str(problem)
            assert "outer.tls" in str(problem)
            site.us.authority.write_bytes(authority)
            assert await shown_by(here, site) == first

    run(scenario())


def test_an_upper_that_is_new_must_show_its_own_certificate(tmp_path: Path) -> None:
    """Whom we dial is checked by the names that the configuration has now, not by those of the start."""

    async def scenario() -> None:
        site = Site(tmp_path)
        async with world(written=site.written, below=site.below, above=site.above) as here:
            await here.upper.wait_registered(INNER_ID)
            keeper = keeper_of(here)
            server = site.tls(site.us.issue("somebody", "198.51.100.77")).server
            assert server is not None
            secured, heard = Secured(server, server=True), bytearray()

            class Impostor(Talker):
                def data_received(self, data: bytes) -> None:
                    heard.extend(secured.feed(data))
                    self.end.write(secured.output())

            ear = await here.network.wires.plug().listen((SECOND, 5061), Impostor)
            write(
                here,
                f'{site.written}\n[[inner.upper]]\nid = "{SECOND_ID}"\nhost = "{SECOND}"\n'
                'port = 5061\ntransport = "tls"\n',
            )
            secrets(here)
            assert (await keeper.reload()).taken
            await asyncio.sleep(20.0)
            assert secured.established
            assert bytes(heard) == b"", "not even a REGISTER"
            ear.close()

    run(scenario())


def test_a_network_that_may_not_speak_to_us_any_more_is_not_heard_and_one_that_may_is(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            outer = here.gateway.outer.side
            async with here.upper.play(here.shared()[0]):
                write(here, text(**{NETWORKS: 'networks = ["203.0.113.128/25"]'}))
                outcome = await keeper.reload()
                assert outcome.taken
                assert any("outer.networks" in line for line in lines(outcome, ENGLISH))
                assert not outcome.later
                await asyncio.sleep(5.0)
                assert outer.as_upper.bound == 0, "from where it is it may not speak"
            before = outer.endpoint.stack.counters()["foreign_source"]
            await asyncio.sleep(200.0)
            assert outer.endpoint.stack.counters()["foreign_source"] > before
            write(here, text())
            assert (await keeper.reload()).taken
            await asyncio.sleep(200.0)
            assert outer.as_upper.bound == 1
            assert here.gateway.orphans == 0

    run(scenario())


def test_connections_from_a_network_that_is_gone_are_closed_and_counted() -> None:
    async def scenario() -> None:
        async with world(written=text(**LISTENING), below=TCP_BELOW, above=TCP_ABOVE) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            keeper = keeper_of(here)
            stack = here.gateway.outer.side.endpoint.stack
            wire = Wire(here.network)
            write(here, text(**LISTENING, **{NETWORKS: 'networks = ["203.0.113.128/25"]'}))
            assert (await keeper.reload()).taken
            await asyncio.sleep(1.0)
            counters = stack.counters()
            assert (counters["now_streams"], counters["streams_excluded"]) == (0, 1)
            assert here.gateway.inner.side.endpoint.stack.counters()["now_streams"] == 1
            assert wire.between(INNER, UPPER, "REGISTER") == []
            write(here, text(**LISTENING))
            assert (await keeper.reload()).taken
            await here.shown()

    run(scenario())


def test_another_quota_counts_from_the_next_alarm_on() -> None:
    async def scenario() -> None:
        async with world(written=WITH_ALARMS) as here:
            camera = await ready(here)
            keeper = keeper_of(here)
            here.network.cut(UPPER)
            await ring(here, camera, 1, 2, 3, 4, 5)
            await asyncio.sleep(2.0)
            assert kept(here)["inner"] == 5
            write(here, WITH_ALARMS + "\n[alarms]\nkept = 3\n")
            outcome = await keeper.reload()
            assert outcome.taken
            assert not outcome.later
            assert any("alarms.kept" in line for line in lines(outcome, ENGLISH))
            await ring(here, camera, 6)
            await asyncio.sleep(2.0)
            assert kept(here)["inner"] == 3
            here.network.mend(UPPER)
            await asyncio.sleep(700.0)
            # 1 was under way when there was no room: it may have arrived
            assert here.upper.alarms.told() == told(1, 5, 6)

    run(scenario(), seconds=20_000)
