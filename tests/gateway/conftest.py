"""Scenarios that ask for `link` run over the plain link, one that encodes and compares, and two hosts."""

import logging
from collections.abc import Iterator

import pytest

from tests.gateway.pair import Logged
from tests.gateway.world import LINKS, Link


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]


@pytest.fixture
def logged() -> Iterator[Logged]:
    found: Logged = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    handler = Kept()
    logger = logging.getLogger("gateway.chamber.link")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)
