"""Ground rule 5 of the quirks: what is put up with is counted for each peer, and told once of each kind."""

import asyncio
import logging
from collections.abc import Mapping

import pytest

from cascade.deviations import Deviation, Deviations
from cascade.manscdp import keepalive
from cascade.model.ids import PeerName, PlatformId
from tests.clock import run
from tests.gateway.bodies import CAMERAS, answer, item, offer
from tests.gateway.by_hand import above, below
from tests.gateway.packets import stream
from tests.gateway.world import INNER_ID, LOWER_ID, UPPER_ID, Link, World


def seen(here: World) -> Mapping[Deviation, int]:
    return here.gateway.outer.side.as_upper.state()[0].deviations


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    told = [vars(record) for record in caplog.records if record.getMessage() == "peer.deviates"]
    return [(line["peer"], line["deviation"]) for line in told]


def test_a_kind_is_told_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    one, other = PlatformId("1"), PlatformId("2")
    deviations = Deviations()
    with caplog.at_level(logging.INFO):
        deviations.note(one, "no-y", 0)
        for _ in range(3):
            deviations.note(one, "no-y")
        deviations.note(one, "charset", 4)
        deviations.note(other, "no-y")
    assert lines(caplog) == [("1", "no-y"), ("1", "charset"), ("2", "no-y")]
    assert deviations.of(one) == {"no-y": 3, "charset": 4}
    assert deviations.of(PlatformId("3")) == {}


def test_what_is_put_up_with_in_a_catalog(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            tree = (
                item(CAMERAS[0], f"<ParentID>{CAMERAS[1]}</ParentID>", called="A&B"),
                item(CAMERAS[1], f"<ParentID>{CAMERAS[0]}</ParentID>"),
                item(CAMERAS[2]),
                item(""),
            )
            await lower.show(*tree)
            await asyncio.sleep(16.0)
            await here.shown(3)
            first = {"catalog-repaired": 1, "items-dropped": 1, "parents-in-a-loop": 2, "sum-wrong": 1}
            assert seen(here) == first
            await lower.page(await lower.asked(), len(tree), *tree)
            await asyncio.sleep(16.0)
            assert seen(here) == first | {"catalog-repaired": 2, "items-dropped": 2, "sum-wrong": 2}

    with caplog.at_level(logging.INFO, logger="cascade"):
        run(scenario())
    synced = [vars(record) for record in caplog.records if record.getMessage() == "catalog.synced"]
    assert synced[0]["odd"] == ["catalog-repaired 1", "items-dropped 1", "parents-in-a-loop 2", "sum-wrong 1"]
    assert len(lines(caplog)) == 4


@pytest.mark.parametrize(
    ("body", "contact", "kinds"),
    [
        (answer(), "", {"no-y"}),
        (answer(y="0200001144"), None, {"other-y", "no-contact"}),
        (answer(y="0000000000"), "<sip:cam@192.168.1.64:5060>", {"zero-y", "contact-elsewhere"}),
        (answer(end="\n"), "<sip:cam@>", {"no-y", "line-ends", "contact-elsewhere"}),
    ],
)
def test_what_is_put_up_with_in_the_answer_to_an_invite(
    link: Link, body: bytes, contact: str | None, kinds: set[str]
) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", contact=contact, body=body)
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(25)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]):
                await serving
            assert seen(here) == dict.fromkeys(kinds, 1)

    run(scenario())


def test_what_is_put_up_with_in_an_invite(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            channel = here.shared()[0]
            body = offer(y=None, end="\n")
            invite = upper.invite(INNER_ID, body, subject=f"{channel}:0,{UPPER_ID}:0")
            answered = await upper.ask(invite)
            assert answered.start == "SIP/2.0 200 OK"
            upper.send(upper.within(invite, answered, "ACK", cseq=1))
            await asyncio.sleep(1.0)
            await upper.ask(upper.within(invite, answered, "BYE", cseq=2))
            (view,) = here.gateway.inner.side.as_lower.state()
            assert view.deviations == dict.fromkeys(["no-y", "channel-elsewhere", "line-ends"], 1)

    run(scenario())


def test_who_never_registers_again_is_known_for_it(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            lower.stop_keepalives()
            await asyncio.sleep(300.0)
            await lower.say(keepalive.write(sn=1, device_id=PeerName(LOWER_ID)))
            assert seen(here) == {"never-registers-again": 1}

    run(scenario())
