"""Why does it not register: each way to fail, at the whole gateway, as `lockgate explain` tells it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from cascade.as_upper.attempts import Attempt
from gateway.cli.explain import explain
from gateway.local.messages import Registration, Registrations, encode, read_response
from gateway.registrations.facts import Lease, OfId, OfSide, Tried, Wanted
from gateway.registrations.page import document, page
from gateway.words import Words
from sip._native import Address, authorize
from tests.clock import run
from tests.gateway.test_bad_input import Caller
from tests.gateway.traced import desk
from tests.gateway.world import (
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    UPPER_ID,
    WALL,
    World,
    header,
    text,
    world,
)

if TYPE_CHECKING:
    from gateway.local.client import Gateway
    from gateway.trace.facts import SideName

REALM: Final = OUTER_ID[:10]
HERE: Final = (LOWER, 5070)
URI: Final = f"sip:{OUTER_ID}@{REALM}"
SLIP: Final = LOWER_ID[:-2] + "10"
"""The id with its last two digits changed places."""


class Device:
    """Somebody who registers, or tries to."""

    def __init__(self, here: World, address: tuple[str, int] = HERE) -> None:
        self.here = here
        self._caller = Caller(here, address)
        self._address = address
        self._number = 0

    async def send(
        self, credentials: str = "", *, user: str = LOWER_ID, uri: str = URI, expires: int = 3600
    ) -> str:
        self._number += 1
        host, port = self._address
        lines = [
            f"REGISTER {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bKe{self._number}",
            f"From: <sip:{user}@{REALM}>;tag=e{self._number}",
            f"To: <sip:{user}@{REALM}>",
            f"Call-ID: explain-{self._number}",
            f"CSeq: {self._number} REGISTER",
            f"Contact: <sip:{user}@{host}:{port}>",
            *([f"Authorization: {credentials}"] if credentials else []),
            "User-Agent: IP Camera 5.5",
            "Max-Forwards: 70",
            f"Expires: {expires}",
            "Content-Length: 0",
        ]
        return await self._caller.send("\r\n".join(lines) + "\r\n\r\n", (OUTER, 5060))

    async def challenge(self, user: str = LOWER_ID) -> str:
        return header(await self.send(user=user), "WWW-Authenticate")

    async def tries(
        self,
        password: str = PASSWORD,
        *,
        user: str = LOWER_ID,
        name: str = "",
        realm: str = "",
        uri: str = URI,
        expires: int = 3600,
    ) -> str:
        """As a device does it that was set up so."""
        challenge = await self.challenge(user)
        challenge = challenge.replace(REALM, realm) if realm else challenge
        return await self.send(proof(challenge, password, name or user, uri), user=user, expires=expires)

    def close(self) -> None:
        self._caller.close()


def proof(challenge: str, password: str = PASSWORD, user: str = LOWER_ID, uri: str = URI) -> str:
    return authorize([challenge], user, password, "REGISTER", uri, "c0ffee")


Act = Callable[[Device], Awaitable[object]]


def asked(here: World, what: str) -> tuple[list[dict[str, Any]], str]:
    """What programs and people are told, over the encoding of the local socket."""
    answer = desk(here).registrations(Registration(what=what))
    told = read_response(encode(answer))
    assert told == answer
    english = Words("en")
    found = [(side, one) for side in answer.sides for one in side.ids if one.wanted or one.tries or one.above]
    documents = [document(side, one, answer.now, english) for side, one in found]
    lines = [line for side, one in found for line in page(side, one, answer.now, english, UTC)]
    for side, one in found:
        assert list(page(side, one, answer.now, Words("zh"), UTC))
    return documents, "\n".join(lines)


def outcome(
    act: Act, what: str = LOWER_ID, *, settings: str = "", address: Address = HERE
) -> tuple[Any, str]:
    """Of one device alone in the outer network, which does that."""
    said: list[tuple[list[dict[str, Any]], str]] = []

    async def scenario() -> None:
        listens = '[[outer.listen]]\ntransport = "tcp"\n\n[inner]\n'
        written = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\n{settings}', "[inner]\n": listens})
        async with world(lower_runs=False, written=written) as here:
            device = Device(here, address)
            try:
                await act(device)
                said.append(asked(here, what))
            finally:
                device.close()

    run(scenario())
    documents, shown = said[0]
    print(shown)
    assert PASSWORD not in shown + json.dumps(documents)
    return documents[0] if documents else None, shown


async def slow(device: Device) -> None:
    challenge = await device.challenge()
    await asyncio.sleep(75.0)
    await device.send(proof(challenge))


async def twice(device: Device) -> None:
    challenge = await device.challenge()
    answer = proof(challenge)
    await device.send(answer)
    await device.send("", expires=0)
    await device.send(proof(await device.challenge()), expires=0)
    await device.send(answer)


async def of_another_run(device: Device) -> None:
    challenge = await device.challenge()
    nonce = challenge.partition('nonce="')[2].partition('"')[0]
    await device.send(proof(challenge.replace(nonce, "bm90IG91cnM=")))


async def mute(device: Device) -> None:
    for _ in range(3):
        await device.send()
        await asyncio.sleep(60.0)


async def guessing(device: Device) -> None:
    for _ in range(12):
        await device.tries("wrong")


async def by_md5_sess(device: Device) -> None:
    await device.send(proof(await device.challenge()).replace("algorithm=MD5", "algorithm=MD5-sess"))


async def cut(device: Device) -> None:
    whole = proof(await device.challenge())
    response = whole.partition('response="')[2].partition('"')[0]
    await device.send(whole.replace(response, response[:16]))


async def held(device: Device) -> None:
    await device.tries()
    other = Device(device.here, (LOWER, 5071))
    await other.tries()
    other.close()


WAYS: Final[dict[str, tuple[Act, str, str, str, str]]] = {
    # what the device does; settings of the peer; code of the reason; the input that differs; what to do
    "wrong password": (lambda d: d.tries("wrong"), "", "password", "response", "lockgate secret set"),
    "wrong realm": (
        lambda d: d.tries(realm="3402000000"),
        "",
        "realm",
        "realm",
        f"Set the SIP domain in the device to {REALM}.",
    ),
    "wrong user name": (
        lambda d: d.tries(name="admin"),
        "",
        "username",
        "username",
        "Set the user name for authentication in the device to its own id.",
    ),
    "digest for another server": (
        lambda d: d.tries(uri=f"sip:34020000002000000001@{REALM}"),
        "",
        "target",
        "uri",
        f"Set the server id in the device to {OUTER_ID}.",
    ),
    "another algorithm": (by_md5_sess, "", "algorithm", "algorithm", "add it to `digest` of this peer"),
    "half a response": (cut, "", "length", "response", "look for newer firmware"),
    "too late": (slow, "", "nonce_expired", "nonce", "packets that are held up"),
    "repeated": (twice, "", "nonce_used", "nonce", "somebody repeats what it once sent"),
    "a nonce of before": (of_another_run, "", "nonce_foreign", "nonce", "restart the device"),
    "never comes back": (mute, "", "no_answer", "", f"look whether UDP gets back to {LOWER}:5070"),
    "by certificate": (
        lambda d: d.send('Capability algorithm="A:RSA;H:SHA1;S:DES"'),
        "",
        "scheme",
        "scheme",
        "Set the device to digest authentication",
    ),
    "from another network": (
        lambda d: d.tries(),
        'networks = ["203.0.113.64/28"]',
        "network",
        "source",
        "Add its network to `networks` of this peer",
    ),
    "by another transport": (
        lambda d: d.tries(),
        'transport = "tcp"',
        "transport",
        "transport",
        "Set the transport in the device",
    ),
    "too short": (lambda d: d.tries(expires=30), "", "too_short", "expires", "lower `min_expires`"),
    "held elsewhere": (held, 'binding = "strict"', "bound", "binding", 'write `binding = "reauth"`'),
    "guessing": (guessing, "", "password", "response", "lockgate secret set"),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_fail_has_its_sentence_and_shows_what_differs(way: str) -> None:
    act, settings, code, differs, remedy = WAYS[way]
    found, shown = outcome(act, settings=settings)
    assert found["reasons"][0]["code"] == code
    assert [row["input"] for row in found["compared"] if row["fits"] is False] == [differs] * bool(differs)
    assert remedy in shown
    assert found["registered"] == (way == "held elsewhere")


def test_who_guessed_is_told_that_a_right_password_passes_at_once() -> None:
    found, shown = outcome(guessing)
    assert [reason["code"] for reason in found["reasons"]] == ["password", "put_off"]
    assert "A right password passes at once" in shown
    assert "wrong digest, put off" in shown


def test_who_guesses_is_in_the_log_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    async def and_wait(device: Device) -> None:
        await guessing(device)
        await asyncio.sleep(20.0)

    with caplog.at_level(logging.WARNING):
        outcome(and_wait)
    told = [record.__dict__ for record in caplog.records if record.getMessage() == "sip.trouble"]
    assert {one["counter"] for one in told} >= {"registrations_put_off"}
    assert sum(one["new"] for one in told if one["counter"] == "registrations_put_off") >= 3


def test_another_id_with_a_right_password_is_told_whose_it_is() -> None:
    async def borrowed(device: Device) -> None:
        challenge = await device.challenge(SLIP)
        await device.send(proof(challenge), user=SLIP)

    found, shown = outcome(borrowed, SLIP)
    assert [reason["code"] for reason in found["reasons"]] == ["unknown", "near"]
    assert f"Known is {LOWER_ID}" in shown


def test_nothing_that_came_says_what_to_set_in_the_device() -> None:
    async def nothing(device: Device) -> None:
        return None

    found, shown = outcome(nothing)
    assert [reason["code"] for reason in found["reasons"]] == ["silent"]
    assert f"server address {OUTER}:5060, server id {OUTER_ID}, domain {REALM}" in shown


def test_datagrams_from_outside_the_networks_are_told_of() -> None:
    found, shown = outcome(lambda d: d.send(), address=("192.0.2.9", 5060))
    assert [reason["code"] for reason in found["reasons"]] == ["silent", "unread"]
    assert "1 datagrams came from addresses outside `networks`" in shown


def test_whoever_is_registered_is_told_so_and_what_was_wrong_before_is_listed() -> None:
    async def second_try(device: Device) -> None:
        await device.tries("wrong")
        await asyncio.sleep(60.0)
        await device.tries()

    found, shown = outcome(second_try)
    assert (found["registered"], [reason["code"] for reason in found["reasons"]]) == (True, ["registered"])
    assert found["compared"] == []
    assert [line.split()[-2:] for line in shown.splitlines()[-2:]] == [
        ["UDP", "registered"],
        ["wrong", "digest"],
    ]


def test_an_address_names_who_tried_from_it() -> None:
    async def two(device: Device) -> None:
        await device.tries("wrong")
        await device.tries("wrong", user="34020000001320000001")

    async def scenario() -> None:
        async with world(lower_runs=False) as here:
            device = Device(here)
            await two(device)
            documents, _ = asked(here, LOWER)
            assert [one["id"] for one in documents] == ["34020000001320000001", LOWER_ID]
            assert asked(here, "203.0.113.200") == ([], "")
            device.close()

    run(scenario())


def test_an_upper_is_told_apart() -> None:
    async def scenario() -> None:
        async with world() as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            documents, shown = asked(here, UPPER_ID)
            assert [one["reasons"][0]["code"] for one in documents] == ["upper_well"]
            assert f"{UPPER_ID} is above: we are registered there." in shown

    run(scenario())


def test_who_was_led_elsewhere_is_told_so() -> None:
    settings = f'redirect = ["{OUTER_ID}@203.0.113.21:5060"]\nredirect_any = true'
    found, shown = outcome(lambda d: d.tries(), settings=settings)
    assert [reason["code"] for reason in found["reasons"]] == ["redirected"]
    assert found["compared"] == []
    assert "led to another server" in shown


class Running:
    """Gateways that answer so."""

    def __init__(self, *sides: OfSide) -> None:
        self._sides = sides

    def registrations(self, what: str) -> Registrations:
        return Registrations(now=WALL, sides=self._sides)


def side(name: "SideName", *ids: OfId, strangers: tuple[str, ...] = ()) -> OfSide:
    realm, at = OUTER_ID[:10], "203.0.113.20:5060"
    return OfSide(side=name, id=OUTER_ID, realm=realm, address=at, ids=ids, unread=0, strangers=strangers)


def told(
    capsys: pytest.CaptureFixture[str], *sides: OfSide, rule: str = "", as_json: bool = False
) -> tuple[bool, str]:
    gateways = cast("list[Gateway]", [Running(one) for one in sides])  # a host for each
    well = explain(gateways, LOWER_ID, Words("en"), lambda _side, _name: rule, as_json=as_json)
    return well, capsys.readouterr().out


def test_the_side_that_knows_is_shown_and_the_exit_tells_whether_all_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = Wanted(
        networks=(), transport="any", certificate=False, binding="reauth", algorithms=("MD5",), min_expires=60
    )
    lease = Lease(host=LOWER, port=5060, since=WALL, until=WALL + 60.0)
    here = side("outer", OfId(id=LOWER_ID, wanted=wanted, lease=lease))
    there = side("inner", OfId(id=LOWER_ID))
    well, shown = told(capsys, there, here)
    assert well
    assert shown.splitlines()[0] == f"{LOWER_ID} is registered on the outer side."
    assert "inner" not in shown
    well, shown = told(capsys, there, here, as_json=True)
    assert [one["side"] for one in json.loads(shown)] == ["outer"]


def test_an_id_that_nobody_has_is_said_once_with_those_who_tried(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = OfId(id=LOWER_ID)
    well, shown = told(capsys, side("outer", nobody, strangers=("1", "2")), side("inner", nobody))
    assert not well
    assert shown.count("No peer here has the id") == 1
    assert shown.splitlines()[-1] == "Ids that tried last and that nobody has: 1, 2"
    assert told(capsys, side("outer"), side("inner")) == (
        False,
        f"No REGISTER from {LOWER_ID} is remembered. Compare the server address in the device; what comes "
        "from outside `networks` of a side is dropped unread.\n",
    )


def test_whom_a_rule_would_admit_is_told_that_a_password_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried = Tried(
        attempt=Attempt(
            at=WALL, moment=0.0, source=HERE, transport="udp", outcome="challenged", user=LOWER_ID
        )
    )
    _, shown = told(capsys, side("outer", OfId(id=LOWER_ID, tries=(tried,))), rule="cameras")
    assert "Rule cameras would admit" in shown


def test_what_is_shown_of_a_wrong_password_is_exactly_this() -> None:
    _, shown = outcome(lambda d: d.tries("wrong"))
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines == PAGE.splitlines()


PAGE: Final = """\
44010600002000000001 is not registered on the outer side.
Its last REGISTER came at 2026-03-01 08:00:02 from 203.0.113.30:5070 by UDP, from IP Camera 5.5.

              received                             expected
  source      203.0.113.30:5070                    203.0.113.0/24
  transport   udp                                  any
  user name   44010600002000000001                 44010600002000000001
  realm       4401000000                           4401000000
  digest URI  sip:44010000002000000001@4401000000  sip:44010000002000000001@4401000000
  algorithm   MD5                                  MD5
  qop         auth nc=00000001                     auth
  nonce       2.0 s                                <= 60 s
  response    *** (32)                             ***                                  <-- differs
  expires     3600                                 >= 60

All it hashed is as expected, but the hash is another: the password in the device is not that of \
44010600002000000001 here. Set it anew on both ends (`lockgate secret set` here); look for a blank at the \
end and for capital letters.
"""
