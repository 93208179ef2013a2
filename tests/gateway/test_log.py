"""One event is one line, whatever a peer sent, and no secret is in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.model.secret import Secret
from gateway.log import ConsoleFormatter, Form, JsonFormatter, call_id, setup


def written(formatter: logging.Formatter, name: str, /, **extra: object) -> str:
    record = logging.makeLogRecord(
        {"msg": name, "levelname": "WARNING", "levelno": logging.WARNING, "created": 1.5, **extra}
    )
    return formatter.format(record)


@settings(deadline=None)
@given(st.text())
def test_any_text_of_a_peer_stays_on_one_line(text: str) -> None:
    assert len(written(ConsoleFormatter(), "sip.malformed", peer=text).splitlines()) == 1
    line = written(JsonFormatter(), "sip.malformed", peer=text)
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["peer"] == text


@settings(deadline=None)
@given(st.text())
def test_no_text_of_a_peer_reaches_the_terminal_as_a_control(text: str) -> None:
    assert written(ConsoleFormatter(), "sip.malformed", peer=text).isprintable()


def test_an_event_with_fields_is_an_object_with_them() -> None:
    line = json.loads(written(JsonFormatter(), "relay.opened", stream="s1", port=30_000))
    assert line == {
        "time": 1.5,
        "level": "warning",
        "event": "relay.opened",
        "call": "-",
        "stream": "s1",
        "port": 30_000,
    }


def test_a_list_is_shown_by_its_items() -> None:
    line = written(ConsoleFormatter(), "peers.changed", first=[("one", "registered"), ("two", "expired")])
    assert line.endswith('first="one registered, two expired"')


def test_a_field_cannot_replace_the_event() -> None:
    assert json.loads(written(JsonFormatter(), "relay.opened", event="other"))["event"] == "relay.opened"


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
def test_secrets_are_masked_by_name_and_by_type(formatter: logging.Formatter) -> None:
    line = written(formatter, "peer.added", password="open sesame", given=Secret("open sesame"))
    assert "sesame" not in line
    assert "***" in line


def test_the_call_of_the_request_is_in_each_line() -> None:
    token = call_id.set("abc@host")
    try:
        assert json.loads(written(JsonFormatter(), "invite.refused"))["call"] == "abc@host"
        assert "call=abc@host" in written(ConsoleFormatter(), "invite.refused")
    finally:
        call_id.reset(token)


def test_the_console_form_is_short() -> None:
    line = written(ConsoleFormatter(), "relay.opened", stream="s1", port=30_000, why="two words")
    assert line.split(" ", 1)[1] == 'warning relay.opened stream=s1 port=30000 why="two words"'


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = before
    logger.setLevel(level)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_trace_is_part_of_its_line(root: logging.Logger, form: Form) -> None:
    stream = io.StringIO()
    setup("info", form, stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("gateway").exception("source.failed", extra={"stream": "s1"})
    logging.getLogger("gateway").debug("sip.sent")
    assert len(stream.getvalue().splitlines()) == 1
    assert "ValueError: broken" in stream.getvalue()


def test_bytes_that_were_no_text_are_written(root: logging.Logger) -> None:
    raw = io.BytesIO()
    setup("info", "json", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
    logging.getLogger("gateway").info(
        "sip.malformed", extra={"peer": b"\xff".decode("utf-8", "surrogateescape")}
    )
    assert json.loads(raw.getvalue())["peer"] == "\udcff"
