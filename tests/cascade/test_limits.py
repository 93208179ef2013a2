"""Each limit above the engine: what is over it is lost or put off, and counted under its name."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast, get_args

import pytest

from cascade.as_lower.ptz_locks import PtzLocks, TooMany
from cascade.as_lower.sharing import CatalogAnswers, CatalogQuery
from cascade.as_upper.alarms import Alarms
from cascade.as_upper.attempts import Attempts
from cascade.as_upper.backoff import Backoff
from cascade.as_upper.catalogs import Catalogs
from cascade.as_upper.hearing import Hearing
from cascade.as_upper.moving import Moving
from cascade.as_upper.notices import Notices
from cascade.as_upper.registering import Challenged
from cascade.as_upper.sync import BURST, CatalogSync
from cascade.deviations import Deviations
from cascade.limits import USUAL, Bounds, LimitName, Limits
from cascade.manscdp import heads
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.serials import Serials
from cascade.outbox import Quota
from cascade.peers import PtzTerms
from cascade.questions import Questions
from gateway.chamber.gate import Gate
from gateway.chamber.under_way import Questions as Crossings
from sip.events import Auth
from tests.cascade.ground import Shelf
from tests.cascade.lowers import lower
from tests.clock import run

NVR: Final = PlatformId("44010600001180000001")
PEER: Final = lower(NVR, networks=("203.0.113.0/24",))
CAMERAS: Final = [ChannelId(NVR, PeerName(f"4401060000132000000{number}")) for number in range(3)]
NOTICE: Final = b"<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>1</DeviceID></Notify>"
(HEAD,) = heads([NOTICE])
NOTHING: Final[Any] = SimpleNamespace()


def questions(bounds: Bounds) -> None:
    table: Questions[int, int] = Questions(bounds)
    assert [table.ask(key, key, due=1.0) for key in range(3)] == [True, True, False]


def unread(bounds: Bounds) -> None:
    counts: Counter[str] = Counter()
    hearing = Hearing(
        catalogs=NOTHING,
        asker=NOTHING,
        deviations=Deviations(),
        loop=asyncio.get_running_loop(),
        counts=counts,
        plan=lambda: None,
        bounds=bounds,
    )
    assert HEAD is not None
    hearing.take(PEER, HEAD, b"<>")
    hearing.take(PEER, HEAD, b"<x/>")
    assert counts["responses_too_many"] == 1


def queries(bounds: Bounds) -> None:
    sync = CatalogSync(Serials(lambda: 1), bounds)
    for number in range(BURST + 2):
        sync.start(lower(PlatformId(f"{number:020d}"), networks=()), 1.0)
    asked = 0
    while queries := sync.advance(1.0):
        asked += len(queries)
    assert asked == BURST + 1


def notices_waiting(bounds: Bounds) -> None:
    catalogs = Catalogs(
        endpoint=NOTHING,
        index=cast("Any", SimpleNamespace(count=lambda _: 0)),
        store=NOTHING,
        herald=NOTHING,
        guard=NOTHING,
        deviations=Deviations(),
        serials=Serials(lambda: 1),
        at=lambda _: None,
        time=lambda: 1.0,
        soon=NOTHING,
        plan=lambda: None,
        gap=lambda _: None,
        bounds=bounds,
    )
    catalogs.start(PEER)
    catalogs.advance(1.0)
    for _ in range(3):
        catalogs.notified(PEER, NOTICE)


def catalog_requests(bounds: Bounds) -> None:
    answers = CatalogAnswers(NOTHING, NOTHING, NOTHING, NOTHING, bounds)
    for sn in "123":
        answers.ask(CatalogQuery(sn, "somebody"))
    assert answers.counts["dropped"] == 1


def notices(bounds: Bounds) -> None:
    lease = SimpleNamespace(peer=PEER, online=True)
    taking = Notices(
        endpoint=NOTHING,
        registrar=cast("Any", SimpleNamespace(lease_of=lambda *_: lease)),
        catalogs=cast("Any", SimpleNamespace(start=None)),
        asker=NOTHING,
        deviations=Deviations(),
        serials=Serials(lambda: 1),
        random=NOTHING,
        at=lambda _: None,
        loop=asyncio.get_running_loop(),
        counts=Counter(),
        plan=lambda: None,
        bounds=bounds,
    )
    event = SimpleNamespace(
        transaction=1,
        from_user=NVR,
        source=("203.0.113.50", 5060),
        header=lambda _: None,
        call_id="",
        body=b"",
    )
    cast("Any", taking).subscriptions = SimpleNamespace(notified=lambda *_: SimpleNamespace(status=481))
    replies = [taking.take(cast("Any", event), None, NOTHING) for _ in range(3)]
    assert [reply[1] for reply in replies if reply is not None] == [481, 481, 503]


def alarms(bounds: Bounds) -> Alarms:
    return Alarms(
        endpoint=NOTHING,
        gate=NOTHING,
        index=NOTHING,
        store=NOTHING,
        guard=NOTHING,
        quota=Quota(count=9, bytes=9999),
        loop=asyncio.get_running_loop(),
        wall=lambda: 0.0,
        letter=lambda: 1,
        correlation=lambda: 1,
        telling=lambda _: False,
        deviations=Deviations(),
        counts=Counter(),
        bounds=bounds,
    )


def alarms_waiting(bounds: Bounds) -> None:
    taking = alarms(bounds)
    lease: Any = SimpleNamespace(peer=PEER)
    assert [taking.take(NOTHING, NOTHING, lease) for _ in range(3)] == [True, True, False]


def alarms_known(bounds: Bounds) -> None:
    taking = alarms(bounds)
    assert all(taking._remember((NVR, "1", "", 1, None, f"{number}")) for number in range(3))


def held(bounds: Bounds) -> None:
    locks = PtzLocks(PtzTerms(), bounds)
    asked = [locks.ask(camera, NVR, 5, stop=False, now=0.0) for camera in CAMERAS]
    assert isinstance(asked[2], TooMany)


def moving(bounds: Bounds) -> None:
    told: list[ControlPtz] = []

    def tell(control: ControlPtz) -> bool:
        told.append(control)
        return True

    turning = Moving(Shelf(), tell, lambda: 0.0, bounds)
    for camera in CAMERAS:
        turning.pass_on(ControlPtz(target=camera, movement=Movement(pan="left")))
    assert [one.target for one in told] == [CAMERAS[2]]


def guessers(bounds: Bounds) -> None:
    one = Backoff(bounds)
    for number in range(3):
        one.wrong(f"203.0.113.{number}", NVR, 0.0)
    assert len(one) == 2


def tries(auth: Auth, *, known: bool, at_once: bool = False) -> Callable[[Bounds], None]:
    def provoke(bounds: Bounds) -> None:
        ids = [PlatformId(f"4401060000118000000{number}") for number in range(3)]
        peers = {each: lower(each, networks=()) for each in ids} if known else {}
        attempts = Attempts(peers, lambda: 0.0, cast("Any", SimpleNamespace(note=None)), bounds)
        for number, each in enumerate(ids):
            event: Any = SimpleNamespace(
                from_user=each,
                source=("203.0.113.50", 5060),
                transport="udp",
                uri="",
                expires=None,
                certificate="",
                header=lambda _: None,
                headers=lambda _: (),
                arrived=0.0 if at_once else number * 10.0,
                auth=auth,
            )
            attempts.review([event], [(number, auth, None, each, None)], [Challenged(number, False)], 0.0)
        assert len([each for each in ids if attempts.of(each)]) == 2

    return provoke


def crossings(bounds: Bounds) -> None:
    table = Crossings(lambda: 0.0, bounds)
    for number in range(3):
        table._keep(("ask", "inward", number), NOTHING)
    assert [number for _, _, number in table] == [1, 2]


def crossings_held(bounds: Bounds) -> None:
    link: Any = SimpleNamespace()
    gate = Gate(
        side="outer",
        rules=NOTHING,
        audit=NOTHING,
        link=link,
        places=lambda _: NOTHING,
        clock=lambda: 0.0,
        bounds=bounds,
    )
    for _ in range(3):
        gate._hold("send", NOTHING)
    assert gate.counters.lost == 1


CASES: Final[dict[LimitName, tuple[int, Callable[[Bounds], None]]]] = {
    "questions": (2, questions),
    "unread_bytes": (2, unread),
    "catalog_queries_a_second": (1, queries),
    "catalog_notices_waiting": (2, notices_waiting),
    "catalog_requests_of_upper": (2, catalog_requests),
    "notices_a_minute": (2, notices),
    "alarms_waiting": (2, alarms_waiting),
    "alarms_known": (2, alarms_known),
    "cameras_held": (2, held),
    "cameras_moving": (2, moving),
    "guessers": (2, guessers),
    "tries_of_peers": (2, tries(Auth.WRONG, known=True)),
    "tries_of_strangers": (2, tries(Auth.WRONG, known=False)),
    "tries_under_way": (2, tries(Auth.NONE, known=False)),
    "tries_a_second": (2, tries(Auth.WRONG, known=True, at_once=True)),
    "crossings_open": (2, crossings),
    "crossings_held": (2, crossings_held),
}
"""The limit, and what goes beyond it by one."""


@pytest.mark.parametrize("name", get_args(LimitName))
def test_what_is_over_a_limit_is_counted_under_its_name(name: LimitName) -> None:
    most, provoke = CASES[name]

    async def scenario() -> dict[str, int]:
        bounds = Bounds(Limits(**{name: most}))
        provoke(bounds)
        return bounds.counters()

    assert run(scenario()) == {f"limit_{name}": 1}


def test_a_reload_counts_at_once() -> None:
    bounds = Bounds(Limits(questions=1))
    table: Questions[int, int] = Questions(bounds)
    assert table.ask(1, 1, due=1.0)
    assert not table.ask(2, 2, due=1.0)
    bounds.limits = Limits(questions=2)
    assert table.ask(2, 2, due=1.0)


def test_those_who_are_refused_together_are_told_to_come_back_apart() -> None:
    bounds = Bounds(Limits(retry_after=10, retry_spread=20), Random(1).random)
    told = [int(value) for _ in range(2000) for name, value in bounds.later() if name == "Retry-After"]
    assert set(told) == {*range(10, 31)}
    assert Counter(told).most_common(1)[0][1] < 150  # evenly
    bounds.limits = Limits(retry_after=3, retry_spread=0)
    assert bounds.later() == (("Retry-After", "3"),)


def test_every_limit_has_a_case() -> None:
    names = {field.name for field in fields(Limits)} - {"retry_after", "retry_spread"}
    assert set(get_args(LimitName)) == names == CASES.keys()
    assert all(getattr(USUAL, name) > 0 for name in CASES)
