"""sipp with the scenarios of interop/peers/sipp: a platform written from the reference, not by us in code."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from interop.scenarios.programs import Program, running
from interop.scenarios.stage import PASSWORD, SIP

PEER: Final = Path(__file__).parents[1] / "peers" / "sipp"


@asynccontextmanager
async def sipp(
    folder: Path, *more: str, host: str, gateway: str, keys: Mapping[str, str]
) -> AsyncIterator[Program]:
    """sipp at `host`, its other end the gateway's address; `keys` are the words its scenarios fill in.

    Ends by itself, with exit code 0 when all went as the scenarios say. Scenario files are copied to
    `folder`, where messages and errors are logged as well.
    """
    shutil.copytree(PEER, folder, dirs_exist_ok=True)
    command = ["sipp", f"{gateway}:{SIP}", *more, "-nostdin"]
    command += ["-i", host, "-p", str(SIP), "-bind_local", "-mi", host, "-cp", "0", "-recv_timeout", "30s"]
    command += ["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]
    command += ["-trace_logs", "-log_file", "said.log", "-default_behaviors", "all,-bye"]
    command += ["-au", keys["my_id"], "-ap", PASSWORD]
    for name, value in {"password": PASSWORD, **keys}.items():
        command += ["-key", name, value]
    async with running("sipp", command, folder) as program:
        yield program
