"""Whom an end of the link between two hosts believes, and for how long; what the clock has to do with it."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from certs import shelf
from certs.ca import create
from certs.identities import Identity, SideName
from certs.trust import read_trust
from gateway.chamber.link.hosts import MAX_PAUSE_SECONDS
from tests.clock import run
from tests.gateway.cable import INNER, OUTER, Certificates, hosts_end
from tests.gateway.chamber_ground import ask
from tests.gateway.pair import SIDES, WALL, End, Logged, pair, troubles

Spoil = Callable[[Certificates], None]


def expired(certificates: Certificates) -> None:
    certificates.issue(OUTER, days=1, since_days=3.0)


def early(certificates: Certificates) -> None:
    certificates.issue(OUTER, since_days=-2.0)


def revoked(certificates: Certificates) -> None:
    certificates.revoke(certificates.issue(OUTER))


def other_id(certificates: Certificates) -> None:
    certificates.issue(Identity("outer", "44010000002000000077"))


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [(expired, "expired"), (early, "early"), (revoked, "revoked"), (other_id, "wrong-id")],
)
@pytest.mark.parametrize("dialler", SIDES)
def test_a_certificate_that_is_not_good_opens_nothing_and_both_hosts_say_so(
    tmp_path: Path, spoil: Spoil, kind: str, dialler: SideName, logged: Logged
) -> None:
    async def scenario() -> None:
        async with pair(tmp_path, dialler=dialler) as here:
            spoil(here.certificates)
            for side in SIDES:
                await here.ends[side].end.open()
            await asyncio.sleep(20.0)
            assert not here.outer.end.up
            assert not here.inner.end.up
            assert here.outer.heard == here.inner.heard == []
            assert here.inner.counts[f"theirs-{kind}"] >= 1
            assert here.outer.counts[f"ours-{kind}"] >= 1
            here.certificates.issue(OUTER)
            await asyncio.sleep(MAX_PAUSE_SECONDS + 1)
            assert here.outer.end.up, "a new certificate is used without a restart"

    run(scenario())
    assert set(troubles(logged)) == {("link.not_up", f"theirs-{kind}"), ("link.not_up", f"ours-{kind}")}


def test_the_certificate_of_our_own_side_is_not_that_of_the_other(tmp_path: Path, logged: Logged) -> None:
    """Somebody holds a good certificate of inner, and dials inner with it."""

    async def scenario() -> None:
        async with pair(tmp_path, dialler="outer") as here:
            thief = End(
                hosts_end(
                    "inner",
                    here.cable,
                    lambda: here.certificates.trust("inner"),
                    lambda: WALL,
                    dialler="inner",
                )
            )
            thief.end._plug = here.cable.plug("outer")
            await here.inner.end.open()
            await thief.end.open()
            await asyncio.sleep(20.0)
            assert here.inner.counts["theirs-wrong-side"] >= 1
            assert not here.inner.end.up
            await thief.end.close()

    run(scenario())
    assert ("link.not_up", "theirs-wrong-side") in troubles(logged)


def test_another_authority_is_not_believed(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            foreign = Certificates(tmp_path / "foreign", WALL)
            stranger = End(
                hosts_end("inner", here.cable, lambda: foreign.trust("inner"), lambda: WALL, dialler="inner")
            )
            await here.outer.end.open()
            await stranger.end.open()
            await asyncio.sleep(20.0)
            assert not here.outer.end.up
            assert here.outer.counts.keys() <= {"theirs-unknown", "ours-unknown"}
            assert stranger.counts.keys() <= {"theirs-unknown", "ours-unknown"}
            await stranger.end.close()

    run(scenario())
    assert {kind for _, kind in troubles(logged)} <= {"theirs-unknown", "ours-unknown"}
    assert create(Certificates(tmp_path / "third", WALL).now, days=1)


def test_without_its_files_a_host_says_which_is_missing(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            (here.certificates.folder / shelf.REVOKED).unlink()
            for side in SIDES:
                await here.ends[side].end.open()
            await asyncio.sleep(5.0)
            assert here.inner.counts["files"] >= 1
            assert not here.inner.end.up

    run(scenario())
    assert set(troubles(logged)) == {("link.not_up", "files")}
    assert "revoked.pem" in str(vars(logged[-1])["reason"])


def test_a_certificate_that_runs_out_while_the_link_stands_ends_it(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            here.certificates.issue(OUTER, days=1, since_days=0.99)  # 864 s are left
            await here.up()
            await asyncio.sleep(800.0)
            assert here.inner.end.up
            await asyncio.sleep(100.0)
            assert not here.inner.end.up
            assert here.outer.heard == here.inner.heard == [True, False]
            assert here.inner.counts["theirs-expired"] + here.inner.counts.get("ours-expired", 0) >= 1

    run(scenario())
    assert ("link.certificate_ends", "") in troubles(logged)


@pytest.mark.parametrize("who", [OUTER, INNER])
def test_a_certificate_revoked_while_the_link_stands_ends_it(
    tmp_path: Path, who: Identity, logged: Logged
) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.certificates.revoke(here.certificates.trust(who.side).own.serial)
            await asyncio.sleep(30.0)
            assert here.outer.heard == here.inner.heard == [True, False]
            assert sum(end.counts.get("theirs-revoked", 0) for end in (here.outer, here.inner)) >= 1
            here.certificates.issue(who)
            await asyncio.sleep(MAX_PAUSE_SECONDS + 1)
            assert here.outer.heard == here.inner.heard == [True, False, True]

    run(scenario())
    assert {kind for _, kind in troubles(logged)} <= {"theirs-revoked", "ours-revoked"}


def test_other_files_are_read_from_then_on_and_the_link_stands(tmp_path: Path, logged: Logged) -> None:
    """As a reload takes them: the connection stays, unless what they revoke is on it."""

    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            moved = tmp_path / "two"
            shutil.copytree(here.certificates.folder, moved)
            here.inner.end.adopt(lambda: read_trust(moved, "inner"), 2.0)
            await asyncio.sleep(30.0)
            assert here.outer.heard == here.inner.heard == [True]
            revoking = shelf.opened(moved)
            assert revoking is not None
            here.certificates.folder, here.certificates.authority = moved, revoking
            here.certificates.revoke(here.certificates.trust("outer").own.serial)
            await asyncio.sleep(15.0)
            assert here.inner.heard[:2] == [True, False]
            assert here.inner.counts["theirs-revoked"] >= 1

    run(scenario())
    assert {kind for _, kind in troubles(logged)} <= {"theirs-revoked", "ours-revoked"}


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_ends_nothing_and_is_told_once(tmp_path: Path, hours: int, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.jump = hours * 3600.0
            await asyncio.sleep(120.0)
            assert here.outer.heard == here.inner.heard == [True]
            assert here.inner.counts == {"begun": 1}
            here.inner.end.deliver(ask())
            await asyncio.sleep(1.0)
            assert here.outer.crossings == [ask()]

    run(scenario())
    assert troubles(logged) == [("clock.jumped", "")] * 2  # each host once
    (jump,) = {vars(record)["seconds"] for record in logged if record.levelno >= logging.WARNING}
    assert jump == hours * 3600


def test_a_clock_that_jumps_past_a_certificate_ends_the_link(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.jump = timedelta(days=500).total_seconds()
            await asyncio.sleep(120.0)
            assert not here.inner.end.up
            here.jump = 0.0
            await asyncio.sleep(120.0)
            assert here.inner.end.up

    run(scenario())
    assert ("clock.jumped", "") in troubles(logged)
