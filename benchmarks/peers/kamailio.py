"""Kamailio as a registrar, with its fast allocator (the usual one costs it two to three times the rate)."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.peers import PeerFailed, program
from sip.events import Address

SCRIPT: Final = Path(__file__).with_suffix(".cfg")


@contextlib.contextmanager
def registrar(at: Address, realm: str, password: str, folder: Path) -> Iterator[int]:
    """Serve registrations at `at`; the number of the main process."""
    script = folder / "kamailio.cfg"
    script.write_text(SCRIPT.read_text().replace("REALM", realm).replace("PASSWORD", password))
    found = program("kamailio")
    if found is None:
        raise PeerFailed("kamailio is not installed")
    host, port = at
    memory = ["-x", "fm", "-X", "fm", "-m", "128", "-M", "16"]
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
