"""Scenarios that ask for `link` run over the plain link and over one that encodes and compares."""

import pytest

from tests.gateway.world import LINKS, Link


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]
