"""`lockgate-sim lower --alarm`, and what `lockgate-sim upper` prints of it: two programs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOWER_ID, UPPER_ID = "44010600002000000001", "44000000002000000001"
CAMERA = "44010600001320000001"


@contextmanager
def program(*arguments: str) -> Iterator[Iterator[dict[str, Any]]]:
    """What it prints, line by line; it is ended when the context is left."""
    command = [sys.executable, "-m", "interop.sim", "--lang", "en", *arguments]
    command += ["--password", "x", "--json", "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield map(json.loads, process.stdout)
        finally:
            process.terminate()


def first(lines: Iterator[dict[str, Any]], event: str) -> dict[str, Any]:
    return next(line for line in lines if line["event"] == event)


def test_an_alarm_is_raised_again_and_again_and_printed_above() -> None:
    with program("upper", "--listen", "127.0.0.1:0", "--platform", LOWER_ID, "--alarms") as above:
        at = first(above, "started")["address"]
        below = ("lower", "--server", at, "--server-id", UPPER_ID, "--id", LOWER_ID)
        with program(*below, "--alarm", CAMERA, "--alarm-every", "0.1") as lines:
            for number in (1, 2):
                rang = first(lines, "rang")
                assert (rang["id"], rang["description"], rang["answer"]) == (CAMERA, f"alarm {number}", 200)
                alarm = first(above, "alarm")
                assert (alarm["id"], alarm["description"]) == (CAMERA, f"alarm {number}")
                assert (alarm["priority"], alarm["method"]) == ("1", "2")
                assert alarm["time"]
                assert alarm["kind"] is None


def test_what_is_subscribed_to_above_is_printed_as_it_turns_below() -> None:
    with program("upper", "--listen", "127.0.0.1:0", "--platform", LOWER_ID, "--subscribe") as above:
        at = first(above, "started")["address"]
        below = ("lower", "--server", at, "--server-id", UPPER_ID, "--id", LOWER_ID)
        with program(*below, "--cameras", "2", "--turn-every", "0.2"):
            subscribed = first(above, "subscribed")
            assert (subscribed["id"], subscribed["seconds"]) == (LOWER_ID, 600)
            told = [first(above, "changed") for _ in range(4)]
            assert [one["change"] for one in told] in (["OFF", "ON"] * 2, ["ON", "OFF"] * 2)
            assert len({one["channel"] for one in told}) in (2, 3)
