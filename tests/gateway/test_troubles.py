"""What an operator is told of trouble at the socket: little, and only when there is some."""

import logging

import pytest

from gateway.side.troubles import Troubles


def test_only_what_grew_is_told(caplog: pytest.LogCaptureFixture) -> None:
    counters = {"received": 10, "malformed": 0, "foreign_source": 0}
    troubles = Troubles("outer", lambda: counters)
    with caplog.at_level(logging.WARNING):
        troubles.look()
        assert caplog.records == []
        counters["foreign_source"] = 7
        troubles.look()
        troubles.look()
        counters["foreign_source"] = 9
        troubles.look()
    told = [(record.__dict__["counter"], record.__dict__["new"]) for record in caplog.records]
    assert told == [("foreign_source", 7), ("foreign_source", 2)]
