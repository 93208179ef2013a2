"""sipp with the scenarios of interop/peers/sipp: a platform written from the reference, not by us in code."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from interop.scenarios.programs import Program, running
from interop.scenarios.stage import PASSWORD, SIP

PEER: Final = Path(__file__).parents[1] / "peers" / "sipp"

_LOGGED: Final = re.compile(
    rb"-{47} (?P<moment>[0-9-]+ [0-9:.]+)\nUDP message (?P<way>sent|received) [\[(](?P<size>\d+)[^\n]*:\n\n"
)


@dataclass(frozen=True, slots=True)
class Logged:
    """One message as sipp logged it. `moment` is in seconds since 1970; header names in small letters."""

    moment: float
    sent: bool
    start: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def method(self) -> str:
        """What CSeq says: of the request itself, or of the one that is answered."""
        return self.headers.get("cseq", "").partition(" ")[2]

    @property
    def status(self) -> int:
        """0 for a request."""
        words = self.start.split(" ", 2)
        return int(words[1]) if words[0] == "SIP/2.0" else 0

    @property
    def call(self) -> str:
        return self.headers.get("call-id", "")


def logged(folder: Path) -> Iterator[Logged]:
    """What sipp has sent and received so far, in order; a message that is being written is left out."""
    file = folder / "messages.log"
    data = file.read_bytes() if file.is_file() else b""
    for entry in _LOGGED.finditer(data):
        whole = data[entry.end() : entry.end() + int(entry["size"])]
        if len(whole) < int(entry["size"]):
            return
        head, _, body = whole.partition(b"\r\n\r\n")
        start, *lines = head.decode("utf-8", "replace").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        moment = datetime.fromisoformat(entry["moment"].decode()).timestamp()
        yield Logged(moment, entry["way"] == b"sent", start, headers, body)


def final_answer(folder: Path, call: str) -> Logged | None:
    """The first final answer that came to the request of ours that began this call, once it is there."""
    return next(
        (one for one in logged(folder) if not one.sent and one.call == call and one.status >= 200), None
    )


@asynccontextmanager
async def sipp(
    folder: Path, *more: str, host: str, gateway: str, keys: Mapping[str, str]
) -> AsyncIterator[Program]:
    """sipp at `host`, its other end the gateway's address; `keys` are the words its scenarios fill in.

    Ends by itself, with exit code 0 when all went as the scenarios say. Scenario files are copied to
    `folder`, which is made and where messages and errors are logged as well.
    """
    shutil.copytree(PEER, folder, dirs_exist_ok=True)
    command = ["sipp", f"{gateway}:{SIP}", "-default_behaviors", "all,-bye", *more, "-nostdin"]
    command += ["-i", host, "-p", str(SIP), "-bind_local", "-mi", host, "-cp", "0", "-recv_timeout", "30s"]
    command += ["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]
    command += ["-trace_logs", "-log_file", "said.log"]
    command += ["-au", keys["my_id"], "-ap", PASSWORD]
    for name, value in {"password": PASSWORD, **keys}.items():
        command += ["-key", name, value]
    async with running("sipp", command, folder) as program:
        yield program
