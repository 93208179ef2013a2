"""A softphone that speaks no GB/T 28181 (baresip) is refused, whoever it says it is, as it should be."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from interop.demo.cast import INNER_ID, LOWER_ID, OUTER_ID, UPPER_ID
from interop.scenarios.capture import capturing, fields, judge, sent_to
from interop.scenarios.softphone import softphone
from interop.scenarios.stage import PASSWORD, People, lockgate, people

STRANGER = "44010600001180000009"
CAMERA = "44010600001320000001"


@dataclass(frozen=True, slots=True)
class Guest:
    """Who rings, and the answer to each request that the reference wants for it."""

    user: str
    password: str
    host: str
    answers: dict[str, str]
    above: bool = False


def guests(here: People) -> list[Guest]:
    """A stranger, one who has guessed, and both platforms' ids with the wishes of a telephone.

    Who is not registered gets 401 to a REGISTER and 403 to all else; a lower platform may not invite
    (403), an upper one sees only what it was shown (404), and neither sends text. Nobody subscribes.
    """
    one, other = here.more_below
    unproven = {"REGISTER": "401", "INVITE": "403", "MESSAGE": "403", "SUBSCRIBE": "403"}
    lower = {"REGISTER": "200", "INVITE": "403", "MESSAGE": "415", "SUBSCRIBE": "403"}
    upper = {"INVITE": "404", "MESSAGE": "415", "SUBSCRIBE": "489"}
    return [
        Guest(STRANGER, "guessed", one, unproven),
        Guest(LOWER_ID, "guessed", other, unproven),
        Guest(LOWER_ID, PASSWORD, here.lower, lower),
        Guest(UPPER_ID, PASSWORD, here.upper, upper, above=True),
    ]


async def test_a_softphone_is_refused_whoever_it_says_it_is(tmp_path: Path) -> None:
    here, capture = people(), tmp_path / "wire.pcapng"
    with capturing(capture, here.hosts):
        async with lockgate(tmp_path, here) as gateway:
            async with asyncio.TaskGroup() as ringing:
                for guest in guests(here):
                    ringing.create_task(ring(guest, here, tmp_path / guest.host))
            await gateway.settled(here)
            await gateway.stopped()
    for guest in guests(here):
        assert answers(capture, guest.host) == guest.answers, guest
    judge(capture, sent_to((here.outer, here.inner)), sip=40, sdp=4)


async def ring(guest: Guest, here: People, folder: Path) -> None:
    """Register where that is its place, send text, ring a camera, and ask for its presence."""
    door, name = (here.inner, INNER_ID) if guest.above else (here.outer, OUTER_ID)
    registers = "REGISTER" in guest.answers
    async with softphone(
        folder,
        host=guest.host,
        user=guest.user,
        password=guest.password,
        gateway=door,
        gateway_id=name,
        registers=registers,
    ) as phone:
        if registers:
            await phone.event("REGISTER_OK" if guest.answers["REGISTER"] == "200" else "REGISTER_FAIL")
        phone.do("contact_next")
        phone.do("message", "hello")
        phone.do("dial", f"sip:{CAMERA}@{door}")
        closed = await phone.event("CALL_CLOSED")
        assert closed.startswith(guest.answers["INVITE"]), guest
        await phone.program.line(lambda line: "subscriber closed" in line)


def answers(capture: Path, host: str) -> dict[str, str]:
    """By method: the success that it ever came to, else the first refusal; guessers are put off by 403."""
    answered = fields(
        capture, f"sip.Status-Code >= 200 && ip.dst == {host}", "sip.CSeq.method", "sip.Status-Code"
    )
    found: dict[str, str] = {}
    for method, status in answered:
        if status.startswith("2") or method not in found:
            found[method] = status
    return found
