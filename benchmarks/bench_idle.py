"""10,000 idle connections and 1,000 that send a byte a second: how long others wait meanwhile.

The crowd comes all at once, from as many addresses as the share of each asks for; whatever the gateway
closes comes back at once, so there are always so many. Meanwhile a real peer connects by TCP and registers
with digest, over and over, each time as a stranger who has shown nothing; and one that is registered sends
a keepalive by its connection. The crowd is a process on the load's processor, the gateway alone on another.
"""

import errno
import multiprocessing
import re
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from benchmarks import peers
from benchmarks.bench_signalling import (
    DOMAIN,
    GATEWAY_ID,
    OUTER,
    PASSWORD,
    Gateway,
    Ports,
    Setup,
    ids,
    running_gateway,
)
from benchmarks.results import Result, save
from sip._native import authorize

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

IDLE: Final = 10_000
SLOW: Final = 1_000
OF_ADDRESS: Final = 8
"""Connections of one address: the default of `connections_of_source`."""
SECONDS: Final = 20.0
PATIENCE: Final = 30.0
TICK: Final = 0.1
REAL_AT: Final = "127.0.1.9"
KNOWN_AT: Final = "127.0.1.10"
URI: Final = f"sip:{GATEWAY_ID}@{DOMAIN}"
DRIPPED: Final = (
    f"REGISTER {URI} SIP/2.0\r\nVia: SIP/2.0/TCP {REAL_AT};branch=z9hG4bK1\r\nSubject: {'x' * 4096}".encode()
)
KEEPALIVE: Final = (
    '<?xml version="1.0"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>{sn}</SN>\r\n'
    "<DeviceID>{user}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
)


# The crowd


class Census(Struct, frozen=True):
    """Of the crowd: who is there, and what happened so far."""

    here: int
    opened: int
    refused: int


class Crowd:
    """Connections that want nothing, and those that want it slowly; one loop over one epoll."""

    def __init__(self, port: int, idle: int, slow: int) -> None:
        self._at = (OUTER, port)
        self._ready = select.epoll()
        self._socket: dict[int, socket.socket] = {}
        self._host: dict[int, str] = {}
        self._dripping: dict[int, int] = {}  # how much of `DRIPPED` it has said
        self._connecting: set[int] = set()
        self.opened = self.refused = 0
        for number, host in enumerate(islice(addresses(), idle + slow)):
            self._connect(host, dripping=number < slow)

    def census(self) -> Census:
        return Census(len(self._socket) - len(self._connecting), self.opened, self.refused)

    def _connect(self, host: str, *, dripping: bool) -> None:
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.SOL_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        made.bind((host, 0))
        number = made.fileno()
        self._socket[number], self._host[number] = made, host
        if dripping:
            self._dripping[number] = 0
        self._connecting.add(number)
        if made.connect_ex(self._at) not in (0, errno.EINPROGRESS):
            self._again(number)
            return
        self._ready.register(number, select.EPOLLOUT | select.EPOLLIN)

    def _again(self, number: int) -> None:
        """It is gone: the next one comes from there."""
        made, host = self._socket.pop(number), self._host.pop(number)
        dripping = self._dripping.pop(number, None) is not None
        self.refused += number in self._connecting
        self._connecting.discard(number)
        with suppress(OSError, ValueError):
            self._ready.unregister(number)
        made.close()
        self._connect(host, dripping=dripping)

    def turn(self, seconds: float) -> None:
        for number, event in self._ready.poll(seconds, 512):
            if event & (select.EPOLLERR | select.EPOLLHUP):
                self._again(number)
            elif number in self._connecting:
                self._connecting.discard(number)
                self.opened += 1
                self._ready.modify(number, select.EPOLLIN)
            elif self._over(number):
                self._again(number)

    def _over(self, number: int) -> bool:
        try:
            return not self._socket[number].recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def drip(self) -> None:
        """A byte of each slow one."""
        for number, said in list(self._dripping.items()):
            if number not in self._connecting:
                with suppress(OSError):
                    self._socket[number].send(DRIPPED[said : said + 1])
                self._dripping[number] = said + 1

    def close(self) -> None:
        for made in self._socket.values():
            made.close()
        self._ready.close()


def addresses() -> Iterator[str]:
    """127.1.0.1 and on, each for as many connections as one address may have."""
    number = 0
    while True:
        high, low = divmod(number, 250)
        yield from [f"127.1.{high}.{low + 1}"] * OF_ADDRESS
        number += 1


def come(port: int, idle: int, slow: int, asked: "Connection[Any, Any]") -> None:
    """The crowd's process, until the pipe closes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with closing(Crowd(port, idle, slow)) as crowd:
        dripped = time.monotonic()
        while True:
            crowd.turn(TICK)
            if time.monotonic() - dripped >= 1.0:
                dripped += 1.0
                crowd.drip()
            if asked.poll():
                try:
                    asked.recv()
                except EOFError:
                    return
                asked.send(crowd.census())


@contextmanager
def crowded(port: int, idle: int, slow: int) -> "Iterator[Connection[Any, Any]]":
    """The crowd in a process of its own; ask the pipe for its census."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=come, args=(port, idle, slow, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(10.0)
        process.terminate()


def census(crowd: "Connection[Any, Any]") -> Census:
    crowd.send(None)
    told = crowd.recv()
    assert isinstance(told, Census)
    return told


# The real ones


class Peer:
    """One connection of a real peer, from the outside: blocking, and patient for `PATIENCE`."""

    def __init__(self, port: int, host: str, user: str) -> None:
        self._socket = socket.create_connection((OUTER, port), PATIENCE, source_address=(host, 0))
        self._host, self._port = self._socket.getsockname()
        self._user = user
        self._cseq = 0
        self._heard = b""

    def close(self) -> None:
        self._socket.close()

    def _ask(self, method: str, lines: list[str], body: str = "") -> str:
        self._cseq += 1
        place = f"{self._host}:{self._port}"
        head = [
            f"{method} {URI} SIP/2.0",
            f"Via: SIP/2.0/TCP {place};rport;branch=z9hG4bK{self._port}x{self._cseq}",
            f"From: <sip:{self._user}@{DOMAIN}>;tag=t{self._port}",
            f"To: <sip:{self._user}@{DOMAIN}>",
            f"Call-ID: {method}{self._port}@{self._host}",
            f"CSeq: {self._cseq} {method}",
            f"Contact: <sip:{self._user}@{place}>",
            "Max-Forwards: 70",
            *lines,
            f"Content-Length: {len(body)}",
        ]
        self._socket.sendall(("\r\n".join([*head, "", body])).encode())
        return self._answer()

    def _answer(self) -> str:
        """The next answer; what the gateway asks meanwhile (a catalog) is left unanswered."""
        while True:
            head, end, rest = self._heard.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            if end and length is not None and len(rest) >= int(length[1]):
                self._heard = rest[int(length[1]) :]
                if head.startswith(b"SIP/2.0"):
                    return head.decode()
                continue
            more = self._socket.recv(65_536)
            if not more:
                raise ConnectionResetError("the gateway closed the connection")
            self._heard += more

    def register(self) -> None:
        challenged = self._ask("REGISTER", ["Expires: 3600"])
        challenges = re.findall(r"WWW-Authenticate: (.*)\r", challenged)
        proof = authorize(challenges, self._user, PASSWORD, "REGISTER", URI, "0123456789abcdef", 1)
        answer = self._ask("REGISTER", ["Expires: 3600", f"Authorization: {proof}"])
        if not answer.startswith("SIP/2.0 200"):
            raise SystemExit(f"the real peer was not registered: {answer.splitlines()[0]}")

    def keep_alive(self) -> None:
        body = KEEPALIVE.format(sn=self._cseq, user=self._user)
        answer = self._ask("MESSAGE", ["Content-Type: Application/MANSCDP+xml"], body)
        if not answer.startswith("SIP/2.0 200"):
            raise SystemExit(f"a keepalive was refused: {answer.splitlines()[0]}")


def registered_after(port: int) -> tuple[float, int]:
    """Seconds from the first SYN of somebody who comes anew to its 200; how often it was cut off before."""
    begun, cut = time.monotonic(), 0
    while True:
        try:
            with closing(Peer(port, REAL_AT, ids()[0])) as peer:
                peer.register()
                return time.monotonic() - begun, cut
        except ConnectionError:
            cut += 1  # it was taken for one of the crowd: it tries again at once


# The measurement


class Taken(Struct):
    """Seconds that each registration and each keepalive took, and how often a real connection was cut."""

    registrations: list[float] = []
    keepalives: list[float] = []
    cut: int = 0

    def once(self, port: int, known: Peer) -> None:
        begun = time.monotonic()
        known.keep_alive()
        self.keepalives.append(time.monotonic() - begun)
        seconds, cut = registered_after(port)
        self.registrations.append(seconds)
        self.cut += cut
        time.sleep(0.05)


def measure(idle: int = IDLE, slow: int = SLOW, seconds: float = SECONDS) -> list[Result]:
    load, measured = peers.apart()
    ports = Ports.free()
    with peers.on(measured):
        running = running_gateway(Setup(ports, networks="127.0.0.0/8"))
        gateway = running.__enter__()
    try:
        with peers.on(load):
            return _measure(gateway, ports.outer, idle, slow, seconds)
    finally:
        running.__exit__(None, None, None)


def _measure(gateway: Gateway, port: int, idle: int, slow: int, seconds: float) -> list[Result]:
    rush, later = Taken(), Taken()
    with closing(Peer(port, KNOWN_AT, ids()[1])) as known:
        known.register()
        before = gateway.resident_megabytes
        begun = time.monotonic()
        with crowded(port, idle, slow) as crowd:
            rush.once(port, known)
            while census(crowd).opened < idle + slow:
                rush.once(port, known)
            came = time.monotonic() - begun
            grown = gateway.resident_megabytes - before
            used, begun = gateway.used(), time.monotonic()
            while time.monotonic() - begun < seconds:
                later.once(port, known)
            share = gateway.used().since(used).seconds / (time.monotonic() - begun)
            there = census(crowd)
    raw = {
        "idle": idle,
        "slow": slow,
        "all_there_after_seconds": round(came, 2),
        "here_at_the_end": there.here,
        "connections_in_all": there.opened,
        "refused": there.refused,
        "registrations_while_they_came": len(rush.registrations),
        "registrations_later": len(later.registrations),
        "real_connections_cut": rush.cut + later.cut,
        "gateway_share_of_a_core": round(share, 3),
        "megabytes_before": round(before, 1),
        "megabytes_more": round(grown, 1),
    }
    work = f"idle: behind {idle:,} idle and {slow:,} slow connections"
    each = round(grown * 1024 / (idle + slow), 2)
    return [
        _seconds(f"{work}, a real peer registers by TCP, worst while they come", rush.registrations, raw),
        _seconds(f"{work}, a real peer registers by TCP, worst later", later.registrations, raw),
        _seconds(f"{work}, keepalive of a known peer, worst", rush.keepalives + later.keepalives, raw),
        Result(work=f"{work}, memory each", value=each, unit="KiB", better="lower", raw=raw),
        Result(work=f"{work}, share of a core", value=round(share, 3), unit="cores", better="lower", raw=raw),
    ]


def _seconds(work: str, taken: list[float], raw: dict[str, Any]) -> Result:
    """The worst of them, bar 1 s."""
    taken = sorted(taken)
    raw = {**raw, "median": round(taken[len(taken) // 2], 4), "of": len(taken)}
    return Result(work=work, value=round(taken[-1], 3), unit="s", better="lower", bar=1.0, raw=raw)


def main() -> None:
    results = measure()
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("idle", results)


if __name__ == "__main__":
    main()
