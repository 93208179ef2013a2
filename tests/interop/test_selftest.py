"""The demo's report must tell of everything that breaks: real runs with a fault each, side by side."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from interop.demo.faults import FAULTS, HOSTS_FAULTS
from interop.demo.selftest import TELLING, Outcome, run, verdict


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    with ThreadPoolExecutor(4) as workers:
        return dict(zip(FAULTS, workers.map(run, FAULTS), strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_demo_tells_of_each_fault(fault: str, outcomes: dict[str, Outcome]) -> None:
    assert verdict(fault, outcomes[fault]) == ""


def test_no_fault_is_left_out() -> None:
    """Those of two hosts are told of in interop/scenarios/test_demo_two_hosts.py."""
    assert {*TELLING} == {*FAULTS, *HOSTS_FAULTS} - {"none"}
