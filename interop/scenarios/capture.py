"""What was on the wire: dumpcap records it, tshark reads it. Capturing the loopback needs root.

`judge` is the second opinion of tshark's own dissectors that every scenario asks for at its end.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

_DISCARD: Final = 9  # the port of a service that throws everything away (RFC 863)
_PATIENCE: Final = 30.0


@contextmanager
def capturing(file: Path, hosts: Sequence[str]) -> Iterator[None]:
    """Capture every datagram of these addresses, from the moment dumpcap says that it does."""
    wanted = " or ".join(f"host {address}" for address in hosts)
    command = ["dumpcap", "-i", "lo", "-f", f"udp and ({wanted})", "-w", str(file), "-B", "64"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as dumpcap:
        assert dumpcap.stderr is not None
        said = []
        for line in dumpcap.stderr:
            said.append(line)
            if line.startswith("File:"):
                break
        else:
            pytest.fail(f"dumpcap can't capture on the loopback; run as root. It said: {''.join(said)}")
        try:
            yield
            _flush(file, hosts[0])
        finally:
            dumpcap.terminate()
            dumpcap.communicate()


def _flush(file: Path, host: str) -> None:
    """Return once dumpcap has written all that was sent so far: a last datagram stands in the file."""
    last = b"the last one " + os.urandom(8).hex().encode()  # or tshark may take it for some protocol
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(last, (host, _DISCARD))
    deadline = time.monotonic() + _PATIENCE
    while last not in file.read_bytes():
        assert time.monotonic() < deadline, "dumpcap does not write"
        time.sleep(0.05)


def fields(capture: Path, wanted: str, *names: str) -> list[list[str]]:
    """The named fields of every packet that matches the display filter."""
    command = ["tshark", "-r", str(capture), "-Y", wanted, "-T", "fields", "-E", "separator=/t"]
    for name in names:
        command += ["-e", name]
    environment = {**os.environ, "HOME": str(capture.parent)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [line.split("\t") for line in done.stdout.splitlines()]


def payloads(capture: Path, wanted: str) -> list[bytes]:
    """The UDP payload of every packet that matches the display filter, whole where IP had split it."""
    return [bytes.fromhex(payload) for (payload,) in fields(capture, wanted, "udp.payload")]


def bodies(capture: Path, wanted: str) -> list[bytes]:
    """What follows the empty line in every SIP message that matches the display filter."""
    return [payload.partition(b"\r\n\r\n")[2] for payload in payloads(capture, f"sip and ({wanted})")]


def sent_to(hosts: Sequence[str]) -> str:
    """The display filter of what goes to these addresses."""
    return f"ip.dst in {{{', '.join(hosts)}}}"


def unanswered(capture: Path, asked: str) -> set[tuple[str, str]]:
    """Call-ID and CSeq of the requests matching the filter that nobody gave a final answer."""
    requests = fields(capture, f"sip.Method && {asked}", "sip.Call-ID", "sip.CSeq", "sip.Method")
    asked_for = {(call, sequence) for call, sequence, method in requests if method != "ACK"}
    final = fields(capture, "sip.Status-Code >= 200", "sip.Call-ID", "sip.CSeq")
    return asked_for - {(call, sequence) for call, sequence in final}


def judge(capture: Path, asked: str, **at_least: int) -> None:
    """Nothing malformed, each SIP request that matches `asked` answered, so many packets of each protocol."""
    assert fields(capture, "_ws.malformed", "frame.number", "ip.src", "frame.protocols") == []
    assert unanswered(capture, asked) == set()
    for protocol, number in at_least.items():
        assert len(fields(capture, protocol, "frame.number")) >= number, protocol
