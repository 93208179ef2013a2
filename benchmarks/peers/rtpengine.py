"""rtpengine in user space, and as much of its control protocol as opens a stream from a camera to a viewer.

A datagram is a cookie, a space and a bencoded dictionary; the answer begins with the same cookie.
"""

import contextlib
import itertools
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import PeerFailed, program

HOST: Final = "127.0.0.1"
ANSWER_SECONDS: Final = 2.0
START_SECONDS: Final = 10.0

SDP: Final = """\
v=0\r
o=- 1 1 IN IP4 {host}\r
s=Play\r
c=IN IP4 {host}\r
t=0 0\r
m=video {port} RTP/AVP 96\r
a=rtpmap:96 PS/90000\r
a={direction}\r
"""


def bencode(value: Any) -> bytes:
    match value:
        case str():
            return bencode(value.encode())
        case bytes():
            return b"%d:%b" % (len(value), value)
        case int():
            return b"i%de" % value
        case list():
            return b"l%be" % b"".join(map(bencode, value))
        case dict():
            return b"d%be" % b"".join(bencode(key) + bencode(value[key]) for key in sorted(value))
        case _:
            raise TypeError(type(value).__name__)


def bdecode(data: bytes) -> Any:
    """Text stays bytes; keys of dictionaries become `str`."""
    value, rest = _read(data)
    if rest:
        raise ValueError(f"{len(rest)} bytes too many")
    return value


def _read(data: bytes) -> tuple[Any, bytes]:
    match data[:1]:
        case b"i":
            number, _, rest = data[1:].partition(b"e")
            return int(number), rest
        case b"l" | b"d" as kind:
            parts, rest = [], data[1:]
            while not rest.startswith(b"e"):
                part, rest = _read(rest)
                parts.append(part)
            if kind == b"l":
                return parts, rest[1:]
            keys, values = (key.decode() for key in parts[::2]), parts[1::2]
            return dict(zip(keys, values, strict=True)), rest[1:]
        case _:
            length, _, rest = data.partition(b":")
            return rest[: int(length)], rest[int(length) :]


class Control:
    """Asks rtpengine and waits for the answer; one question at a time."""

    def __init__(self, port: int, stack: contextlib.ExitStack) -> None:
        self._socket = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.connect((HOST, port))
        self._socket.settimeout(ANSWER_SECONDS)
        mine = secrets.token_hex(4)
        self._cookies = (f"{mine}-{number}".encode() for number in itertools.count(1))

    def ask(self, command: str, **fields: Any) -> Mapping[str, Any]:
        """Raises PeerFailed where the answer is not `ok`, OSError where there is none."""
        cookie = next(self._cookies)  # a second question with an earlier one's is taken for a repeat
        question = {"command": command, **{name.replace("_", "-"): each for name, each in fields.items()}}
        self._socket.send(cookie + b" " + bencode(question))
        answer = b""
        while not answer.startswith(cookie + b" "):
            answer = self._socket.recv(1 << 16)
        told: Mapping[str, Any] = bdecode(answer[len(cookie) + 1 :])
        if told.get("result") not in {b"ok", b"pong"}:
            raise PeerFailed(f"{command}: {told}")
        return told

    def stream(self, name: str, camera: int, viewer: int) -> int:
        """Open a stream between two of our ports; the port that takes the camera's media."""
        common = {"call_id": name, "from_tag": "camera", "ICE": "remove", "flags": ["trust address"]}
        self.ask("offer", sdp=SDP.format(host=HOST, port=camera, direction="sendonly"), **common)
        sdp = SDP.format(host=HOST, port=viewer, direction="recvonly")
        told = self.ask("answer", sdp=sdp, to_tag="viewer", **common)
        for line in told["sdp"].decode().splitlines():
            if line.startswith("m="):
                return int(line.split(" ")[1])
        raise PeerFailed(f"answer: {told}")


@contextlib.contextmanager
def running(control: int, folder: Path, low: int, high: int) -> Iterator[int]:
    """rtpengine with one thread for media and no kernel module; the number of its process."""
    found = program("rtpengine")
    if found is None:
        raise PeerFailed("rtpengine is not installed")
    command = [found, "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=3"]
    command += [f"--interface={HOST}", f"--listen-ng={HOST}:{control}", "--num-threads=1"]
    command += [f"--port-min={low}", f"--port-max={high}", f"--pidfile={folder / 'rtpengine.pid'}"]
    with (folder / "rtpengine.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with contextlib.ExitStack() as stack:
            _await(Control(control, stack), process, folder)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10.0)


def _await(control: Control, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            control.ask("ping")
            return
        time.sleep(0.05)
    raise PeerFailed(f"rtpengine did not start: {(folder / 'rtpengine.log').read_text()[-400:]}")
