"""Kamailio as a registrar, with its fast allocator (the usual one costs it two to three times the rate)."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from benchmarks.peers import PeerFailed, program
from sip.events import Address

SCRIPT: Final = Path(__file__).with_suffix(".cfg")


Messages = Literal["stateless", "tm"]

ANSWERS: Final[dict[Messages, str]] = {
    "stateless": 'sl_send_reply("200", "OK");',
    "tm": 't_newtran(); t_reply("200", "OK");',
}

MEGABYTES: Final[dict[Messages, int]] = {"stateless": 512, "tm": 2048}
"""Shared memory. A transaction of tm takes 5.6 KB and stays for 5 s (its `wt_timer`): 2 GB at 70,000 a
second, and with less of it Kamailio refuses requests and spends its time on looking for room."""


@contextlib.contextmanager
def registrar(
    at: Address, realm: str, password: str, folder: Path, messages: Messages = "stateless"
) -> Iterator[int]:
    """Serve registrations and MESSAGEs at `at`, from a folder of its own; the number of the main process."""
    folder.mkdir(exist_ok=True)
    script = folder / "kamailio.cfg"
    written = SCRIPT.read_text().replace("REALM", realm).replace("PASSWORD", password)
    script.write_text(written.replace("ANSWER_MESSAGE", ANSWERS[messages]))
    found = program("kamailio")
    if found is None:
        raise PeerFailed("kamailio is not installed")
    host, port = at
    memory = ["-x", "fm", "-X", "fm", "-m", str(MEGABYTES[messages]), "-M", "16"]
    command = [found, "-DD", "-E", "-f", str(script), "-l", f"udp:{host}:{port}", "-Y", str(folder), *memory]
    with (folder / "kamailio.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process.pid
        if process.poll() is not None:
            raise PeerFailed((folder / "kamailio.log").read_text()[-400:])
    finally:
        process.terminate()
        process.wait(10.0)
