"""The short form of the soak (benchmarks/bench_soak.py is the long one): counted, in virtual time."""

import logging

import pytest

from tests.clock import run
from tests.gateway.soak import BATCH, soak

MESSAGES = 20_000


def test_good_and_bad_messages_leave_nothing_and_keep_nobody_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        soaked = run(soak(MESSAGES))
    assert soaked.sent >= MESSAGES
    assert soaked.answered == soaked.asked > MESSAGES // BATCH - 1
    assert (
        min(soaked.kinds[kind] for kind in ("forged", "torture", "mutated", "noise", "question", "torn"))
        > 1000
    )
    before, after = soaked.held
    assert after == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(caplog.records) < MESSAGES / 100
