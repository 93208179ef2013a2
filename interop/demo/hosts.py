"""The demo over two hosts: four networks on this machine, and `lockgate run --side` in two of them.

    below ── outer ── inner ── above

Each is a network namespace (interop/netns.py). Both platforms send everything that is not theirs to the
gateway's host beside them, as a network may that has no other way out; that host forwards nothing.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from secrets import token_bytes
from typing import Final

from certs.identities import SideName
from gateway.local.client import Unanswered, connected
from interop.demo.cast import INNER_ID, LOWER_ID, OUTER_ID, UPPER_ID, Cast, write_config
from interop.demo.faults import WELL, Fault
from interop.demo.halves import SIDES, hand_out, write_halves
from interop.demo.orphans import Held, held
from interop.demo.ringing import Ringing
from interop.demo.scene import Ground, Platforms, Scene, open_platforms
from interop.demo.speech import Speech
from interop.demo.watched import TwoHosts
from interop.netns import Namespace, NetIn, wire
from interop.sim.net import RealNet
from interop.sim.tasks import Tasks
from interop.tied import tied
from interop.words import Language, Saying, saying

OUTER_NETWORK: Final = "203.0.113.0/24"
INNER_NETWORK: Final = "198.51.100.0/24"
LINK_PREFIX: Final = 30
LINK: Final[dict[SideName, str]] = {"outer": "10.254.0.1", "inner": "10.254.0.2"}
CAST: Final = Cast(
    ("203.0.113.20", 5060),
    ("203.0.113.30", 5060),
    ("198.51.100.20", 5060),
    ("198.51.100.10", 5060),
    networks=(OUTER_NETWORK, INNER_NETWORK),
)
"""Everybody at the port of SIP: nobody else is there."""

IDS: Final[dict[SideName, str]] = {"outer": OUTER_ID, "inner": INNER_ID}
NETWORK_WIRE: Final = "net0"
LINK_WIRE: Final = "link0"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0


class NotStarted(Exception):
    """A host did not start; what it said of it stands on standard error."""

    def __init__(self, said: Saying) -> None:
        super().__init__(said)
        self.said: Final = said


class Networks:
    """The four, joined, until `close`."""

    def __init__(self) -> None:
        self.below, self.outer, self.inner, self.above = (Namespace() for _ in range(4))
        self.hosts: dict[SideName, Namespace] = {"outer": self.outer, "inner": self.inner}
        for network, peer, host, own in (
            (self.below, CAST.lower[0], self.outer, CAST.outer[0]),
            (self.above, CAST.upper[0], self.inner, CAST.inner[0]),
        ):
            wire(NETWORK_WIRE, (network, f"{peer}/24"), (host, f"{own}/24"))
            network.ip("route", "add", "default", "via", own)
        ends = {side: (self.hosts[side], f"{LINK[side]}/{LINK_PREFIX}") for side in SIDES}
        wire(LINK_WIRE, ends["outer"], ends["inner"])

    @property
    def all(self) -> tuple[Namespace, ...]:
        return self.below, self.outer, self.inner, self.above

    def link(self, state: str) -> None:
        """Set the wire between the hosts "up" or "down", at both ends at once."""
        self.outer.ip("link", "set", LINK_WIRE, state)

    def open_up(self) -> None:
        """What must not be: both hosts forward packets, and know the way to the other network."""
        for host, beyond, by in (
            (self.outer, INNER_NETWORK, LINK["inner"]),
            (self.inner, OUTER_NETWORK, LINK["outer"]),
        ):
            with host.entered():
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            host.ip("route", "add", beyond, "via", by)

    def close(self) -> None:
        for network in self.all:
            network.close()


class Hosts:
    """Both hosts as they run."""

    def __init__(self, networks: Networks, platforms: Platforms) -> None:
        self.networks = networks
        self.platforms = platforms
        self.stays_cut = False
        self.processes: dict[SideName, subprocess.Popen[bytes]] = {}

    async def cut(self) -> None:
        await asyncio.to_thread(self.networks.link, "down")

    async def mend(self) -> None:
        if not self.stays_cut:
            await asyncio.to_thread(self.networks.link, "up")

    def held(self) -> Held:
        """Descriptors and sockets of this process and of both hosts."""
        entered: list[Callable[[], AbstractContextManager[None]]] = [
            network.entered for network in self.networks.all
        ]
        return held([process.pid for process in self.processes.values()], entered)


@asynccontextmanager
async def open_two_hosts(
    folder: Path, cameras: int, workers: Executor, language: Language, fault: Fault = WELL
) -> AsyncIterator[Scene]:
    """Start everybody; leaving ends them, the gateway's hosts before the platforms.

    Raises NotStarted.
    """
    password = token_bytes(12).hex()
    (folder / "whole").mkdir()
    written, _ = write_config(folder / "whole", password, fault, cast=CAST, more=_more())
    write_halves(folder / "whole", folder, {LOWER_ID: password, UPPER_ID: password})
    await _certify(folder)
    with closing(Networks()) as networks:
        grounds = (
            Ground(OUTER_NETWORK, networks.below.entered, NetIn(networks.below, RealNet())),
            Ground(INNER_NETWORK, networks.above.entered, NetIn(networks.above, RealNet())),
        )
        async with (
            open_platforms(
                written, password, cameras, workers, fault, lower_at=CAST.lower, grounds=grounds
            ) as platforms,
            AsyncExitStack() as held_open,
        ):
            hosts = Hosts(networks, platforms)
            for side in SIDES:
                held_open.push_async_callback(_stop, _start(hosts, side, folder / side, language))
            for side in SIDES:
                await _ready(hosts.processes[side], side, folder / side / "state")
            fault.hosts(hosts)
            background = await held_open.enter_async_context(Tasks())
            background.start(platforms.lower.run())
            yield Scene(
                TwoHosts([folder / side / "state" for side in SIDES], platforms.tree),
                platforms.lower,
                platforms.upper,
                platforms.tree,
                [folder / side / "state" / side / "audit.jsonl" for side in SIDES],
                speech=Speech(platforms.upper, platforms.lower, platforms.tree.speakers[0].id),
                hosts=hosts,
                ringing=Ringing(platforms.lower, platforms.upper),
            )


def _more() -> str:
    ends = "".join(f'{side} = "{LINK[side]}"\n' for side in SIDES)
    return f'\n[link]\n{ends}dials = "inner"\n\n[log]\nlevel = "error"\n'


async def _certify(folder: Path) -> None:
    """An authority, and a certificate for each host, as an administrator makes them."""
    authority = folder / "authority"
    await _lockgate("certs", "init", "--folder", str(authority))
    for side in SIDES:
        await _lockgate("certs", "issue", side, IDS[side], "--folder", str(authority))
    hand_out(authority, folder)


async def _lockgate(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *arguments), stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise NotStarted(saying("demo.no_certificates"))


def _start(hosts: Hosts, side: SideName, folder: Path, language: Language) -> subprocess.Popen[bytes]:
    """In its network, and in a session of its own: Ctrl-C is for us, who end it in good order."""
    command = [sys.executable, "-m", "gateway", "--lang", language, "run", "--side", side]
    command = tied([*command, "--config", str(folder / "gateway.toml")])
    with hosts.networks.hosts[side].entered():
        hosts.processes[side] = process = subprocess.Popen(command, start_new_session=True)
    return process


async def _ready(process: subprocess.Popen[bytes], side: SideName, state: Path) -> None:
    """Return once it answers."""
    name = saying("demo.outer_host") if side == "outer" else saying("demo.inner_host")
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.poll() is None:
                with suppress(Unanswered), connected(state):
                    return
                await asyncio.sleep(0.05)
    raise NotStarted(saying("demo.host_not_started", host=name))


async def _stop(process: subprocess.Popen[bytes]) -> None:
    """As an administrator would; hard where it does not listen."""
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
