"""What the simulators log, told to people on standard error: what happened, why, and what to do."""

import logging
import sys
from typing import Final

from interop.words import Saying, Words, saying


def told(record: logging.LogRecord) -> Saying | str:
    """The sentence for a record of ours; anybody else's stays as it is."""
    given = record.__dict__
    match record.msg:
        case "sim.page_unanswered":
            return saying("trouble.page", owner=given["owner"], reason=given["reason"])
        case "sim.response_unanswered":
            return saying("trouble.response", target=given["target"], reason=given["reason"])
        case "sim.no_snapshot":
            return saying("trouble.snapshot", path=given["path"], reason=given["reason"])
        case "sim.no_source":
            return saying("trouble.source", camera=given["camera"], reason=given["reason"])
        case "sim.stream_failed":
            return saying("trouble.stream", camera=given["camera"])
        case "sim.task_failed":
            return saying("trouble.task")
        case _:
            return record.getMessage()


class Troubles(logging.Formatter):
    """One line a record, and the traceback below it where there is one."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._words: Final = words

    def format(self, record: logging.LogRecord) -> str:
        line = self._words.render(told(record))
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


def tell_troubles(words: Words) -> None:
    """From now on, warnings and worse; in place of what was set before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Troubles(words))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
