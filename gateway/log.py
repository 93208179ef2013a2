"""Structured log lines: an event name that never changes, and fields that a query can use.

Events are `noun.verb_in_past`. Levels: debug for the wire, info for things an operator counts,
warning for a peer's fault, error for ours. Whatever a peer sent, one event is one line.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import datetime
from io import TextIOWrapper
from typing import Any, Final, Literal, TextIO

from cascade.model.secret import MASK
from gateway.words import ENGLISH, Saying, Words
from gateway.words.events import BUG, EXPLAINED
from gateway.words.sentences import recognised

call_id: ContextVar[str] = ContextVar("call_id", default="-")
"""Set once by the router for each request; tasks started from there inherit it."""

Form = Literal["console", "json"]

SECRET: Final = frozenset({"password", "authorization", "response", "private_key"})
SENTENCES: Final = frozenset({"reason", "problem", "why", "remedy", "lost"})
"""Fields that say something in words; what they say of ours is shown in the operator's language."""
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def fields(record: logging.LogRecord, words: Words = ENGLISH) -> dict[str, Any]:
    """What was given as `extra`, secrets masked; a `cascade.model.secret.Secret` masks itself.

    Events never change with the language; what explains them to a person does.
    """
    given = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if record.levelno >= logging.WARNING:
        given |= EXPLAINED.get(record.getMessage(), BUG if record.exc_info else {})
    return {key: MASK if key in SECRET else _said(key, value, words) for key, value in given.items()}


def _said(key: str, value: object, words: Words) -> object:
    if key in SENTENCES and isinstance(value, str):
        value = recognised(value)
    return words.render(value) if isinstance(value, Saying) else value


class JsonFormatter(logging.Formatter):
    """One JSON object a line. Open the stream with `errors="backslashreplace"`: a field may hold
    bytes of a peer that were not UTF-8."""

    def __init__(self, words: Words = ENGLISH) -> None:
        super().__init__()
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "call": call_id.get(),
        }
        line |= {key: value for key, value in fields(record, self._words).items() if key not in line}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class ConsoleFormatter(logging.Formatter):
    """For a person at a terminal: time, level, event, `key=value`; anything odd is quoted."""

    def __init__(self, words: Words = ENGLISH) -> None:
        super().__init__()
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        given = fields(record, self._words)
        if (call := call_id.get()) != "-":
            given["call"] = call
        if record.exc_info:
            given["trace"] = self.formatException(record.exc_info)
        pairs = "".join(f" {key}={_shown(value)}" for key, value in given.items())
        return f"{moment} {record.levelname.lower():<7} {_shown(record.getMessage())}{pairs}"


def setup(
    level: str = "info", form: Form = "console", stream: TextIO | None = None, words: Words = ENGLISH
) -> None:
    """Send everything logged to `stream` (standard error when None), in place of what was set before."""
    stream = sys.stderr if stream is None else stream
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(words) if form == "json" else ConsoleFormatter(words))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _item(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _shown(value: object) -> str:
    """Text that cannot start a new line or move the cursor, whoever wrote it."""
    text = ", ".join(map(_item, value)) if isinstance(value, list | tuple) else str(value)
    if text and text.isprintable() and not any(sign in text for sign in ' "='):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else json.dumps(text)
