"""A side with several addresses, or several platforms above it: who is spoken to, and from where."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from interop.sim.camera import FakeFrames, FakeScreen
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server, Terms
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from sip.endpoint import Party
from sip.events import Address
from tests.clock import run
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    UPPER,
    UPPER_ID,
    WALL,
    By,
    Link,
    Wire,
    World,
    header,
    open_calls,
    text,
    world,
)

SECOND: Final = "203.0.113.21"
SIX: Final = "2001:db8:a::20"
LOWER_SIX: Final = "2001:db8:a::30"
SEVERAL: Final = text(
    **{
        f'address = "{OUTER}"': f'address = "{OUTER}"\nlisten = [\n'
        + "".join(
            f'{{ transport = "{by}", address = "{at}" }},\n' for by in ("udp", "tcp") for at in (SECOND, SIX)
        )
        + '{ transport = "tcp" },\n]',
        'networks = ["203.0.113.0/24"]': 'networks = ["203.0.113.0/24", "2001:db8:a::/64"]',
    }
)

OTHER: Final = "198.51.100.11"
OTHER_ID: Final = "44000000002000000002"
TWO_ABOVE: Final = text().replace(
    "[[rule]]", f'[[inner.upper]]\nid = "{OTHER_ID}"\nhost = "{OTHER}"\nport = 5060\n\n[[rule]]', 1
)


@asynccontextmanager
async def below(here: World, at: str, to: str, transport: str) -> AsyncIterator[LowerPlatform]:
    """The lower platform at that address of its own, registered at that one of ours."""
    by = By("tcp", (to, 5060), 5060) if transport == "tcp" else None
    async with AsyncExitStack() as held:
        calls = await open_calls(held, here.network, Party(LOWER_ID, LOWER_ID[:10]), (at, 5062), by=by)
        lower = LowerPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=here.network,
            server=Server(OUTER_ID, OUTER_ID[:10], (to, 5060)),
            password=PASSWORD,
            media_host=at,
            cameras=here.tree.cameras,
            branches=here.tree.branches,
            terms=Terms(),
            open_source=FakeFrames,
            wall=lambda: WALL + here.network.loop.time(),
        )
        background = await held.enter_async_context(Tasks())
        background.start(lower.run())
        yield lower


class Said:
    """What we say to one host from now on: from where, and the text."""

    def __init__(self, here: World, to: str) -> None:
        self.all: list[tuple[Address, str]] = []
        self._to = to
        here.network.taps.append(lambda _at, data, source, to, _arrives: self._note(data, source, to))
        here.network.wires.taps.append(self._note)

    def _note(self, data: bytes, source: Address, to: Address) -> None:
        if to[0] == self._to and data[:1].isalpha():
            self.all.append((source, data.decode("gb18030", "replace")))

    def of(self, method: str) -> list[str]:
        return [said for _, said in self.all if said.startswith(f"{method} ")]


def asking(method: str) -> bytes:
    """A request in the name of the lower platform, from wherever."""
    lines = (
        f"{method} sip:{OUTER_ID}@4401000000 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKx;rport",
        f"From: <sip:{LOWER_ID}@4401060000>;tag=x",
        f"To: <sip:{OUTER_ID}@4401000000>",
        "Call-ID: x",
        f"CSeq: 1 {method}",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("at", "to", "written"),
    [(LOWER, OUTER, OUTER), (LOWER, SECOND, SECOND), (LOWER_SIX, SIX, f"[{SIX}]")],
    ids=["first", "second", "six"],
)
def test_a_lower_is_spoken_to_from_the_address_that_it_registered_at(
    transport: str, at: str, to: str, written: str
) -> None:
    async def scenario() -> None:
        async with world(written=SEVERAL, lower_runs=False) as here:
            said = Said(here, at)
            async with below(here, at, to, transport):
                await here.shown()
                await here.upper.wait_registered(INNER_ID)
                if at == LOWER:
                    async with here.upper.play(here.shared()[0]) as playing:
                        await asyncio.sleep(2.0)
                        assert playing.report().frames_decoded > 20
                    (invite,) = said.of("INVITE")
                    assert re.fullmatch(
                        rf"<sip:{OUTER_ID}@{re.escape(written)}:5060.*>", header(invite, "Contact")
                    )
                await asyncio.sleep(130.0)
                assert here.gateway.outer.side.as_upper.state()[0].online
                assert {source[0] for source, _ in said.all} == {to}
                asked = said.of("MESSAGE")
                assert asked, "for its catalog"
                assert {header(each, "Via").split(";")[0] for each in asked} == {
                    f"SIP/2.0/{transport.upper()} {written}:5060"
                }

    run(scenario())


def test_after_a_restart_it_is_spoken_to_from_there_once_it_was_heard() -> None:
    async def scenario() -> None:
        async with world(written=SEVERAL, lower_runs=False) as here, below(here, LOWER, SECOND, "udp"):
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            await here.kill()
            await asyncio.sleep(70.0)
            said = Said(here, LOWER)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 20
            assert {source[0] for source, text in said.all if text.startswith("INVITE")} == {SECOND}

    run(scenario())


def test_whoever_forges_its_address_does_not_change_from_where_it_is_spoken_to() -> None:
    async def scenario() -> None:
        async with world(written=SEVERAL, lower_runs=False) as here, below(here, LOWER, SECOND, "udp"):
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            here.network.carry(asking("MESSAGE"), (LOWER, 5062), (OUTER, 5060))
            await asyncio.sleep(1.0)
            said = Said(here, LOWER)
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(2.0)
            assert {source[0] for source, _ in said.all} == {SECOND}

    run(scenario())


@pytest.mark.parametrize("to", [OUTER, SECOND, SIX])
def test_an_answer_leaves_from_the_address_that_was_asked(to: str) -> None:
    async def scenario() -> None:
        async with world(written=SEVERAL, lower_runs=False) as here:
            stranger = ("2001:db8:a::99" if ":" in to else "203.0.113.99", 5999)
            said = Said(here, stranger[0])
            here.network.carry(asking("OPTIONS"), stranger, (to, 5060))
            await asyncio.sleep(1.0)
            ((source, answer),) = said.all
            assert source == (to, 5060)
            assert answer.startswith("SIP/2.0 ")

    run(scenario())


@asynccontextmanager
async def other_above(here: World) -> AsyncIterator[UpperPlatform]:
    async with AsyncExitStack() as held:
        calls = await open_calls(held, here.network, Party(OTHER_ID, OTHER_ID[:10]), (OTHER, 5060))
        yield UpperPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=here.network,
            media_host=OTHER,
            passwords={INNER_ID: PASSWORD},
            open_screen=FakeScreen,
            wall=lambda: WALL + here.network.loop.time(),
        )


def test_two_uppers_see_one_camera_and_what_one_loses_the_other_keeps(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=TWO_ABOVE) as here, other_above(here) as other:
            wire = Wire(here.network)
            await here.shown()
            for upper in (here.upper, other):
                await upper.wait_registered(INNER_ID)
                assert len((await upper.catalog()).channels()) == len(here.shared())
            for host, name in ((UPPER, UPPER_ID), (OTHER, OTHER_ID)):
                register = wire.between(INNER, host, "REGISTER")[0]
                assert register.startswith(f"REGISTER sip:{name}@{name[:10]} SIP/2.0\r\n")
                assert header(register, "Via").startswith(f"SIP/2.0/UDP {INNER}:5060;")
                assert header(register, "Contact").startswith(f"<sip:{INNER_ID}@{INNER}:5060")
            invites = len(wire.between(OUTER, LOWER, "INVITE"))
            async with other.play(here.shared()[0]) as kept:
                async with here.upper.play(here.shared()[0]) as lost:
                    await asyncio.sleep(2.0)
                    assert min(kept.report().frames_decoded, lost.report().frames_decoded) > 20
                    assert len(wire.between(OUTER, LOWER, "INVITE")) == invites + 1, "one picture from below"
                    here.network.cut(UPPER)
                    await asyncio.sleep(400.0)  # its keepalives are missed, and its viewing ends
                    state = {view.upper: view.registered for view in here.gateway.inner.side.as_lower.state()}
                    assert state == {UPPER_ID: False, OTHER_ID: True}
                    before = kept.report().frames_decoded
                    await asyncio.sleep(4.0)
                    assert kept.report().frames_decoded > before + 50
                    here.network.mend(UPPER)
                before = kept.report().frames_decoded
                here.upper.registrar.forget(INNER_ID)
                await here.upper.wait_registered(INNER_ID)
                async with here.upper.play(here.shared()[1]) as playing:
                    await asyncio.sleep(2.0)
                    assert playing.report().frames_decoded > 20
                assert kept.report().frames_decoded > before
            await asyncio.sleep(15.0)
            assert here.gateway.orphans == 0

    run(scenario())
