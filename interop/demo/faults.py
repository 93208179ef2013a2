"""Ways to break each promise of the demo's report on purpose: `--break NAME`, for the self-test.

A fault bends what stands around the gateway (the platforms, their sockets, the rules, the files it
leaves behind); the product runs unchanged, and the report must tell.
"""

import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interop.demo.orphans import held
from interop.sim.camera import CameraSpec
from interop.sim.listening import Habits
from interop.sim.net import Address, Net, OnDatagram, Port
from interop.sim.sending import Behaviour
from interop.sim.xml import Message

if TYPE_CHECKING:
    from interop.demo.hosts import Hosts
    from interop.demo.scene import Platforms, Scene

LEAKED_SECONDS: Final = 10
"""How long a socket outlives the demo that leaves it."""


class Fault:
    """Nothing is wrong."""

    meet_seconds = 60.0
    """How long registration and catalog may take."""
    settle_seconds = 15.0
    """How long the demo waits for leftovers to go; what never goes needs no long wait."""
    page_seconds = 10.0
    """How long it waits for the next page of a catalog."""

    def rules(self, text: str) -> str:
        """The configuration as it is written."""
        return text

    def cameras(self, cameras: Sequence[CameraSpec]) -> Sequence[CameraSpec]:
        """What the lower platform really has; the demo expects `cameras`."""
        return cameras

    def below(self, net: Net) -> Net:
        """Where the lower platform's media leaves from."""
        return net

    def above(self, net: Net) -> Net:
        """Where the upper platform's media arrives."""
        return net

    def begin(self, platforms: "Platforms") -> None:
        """Both platforms are open, nobody has registered."""

    def hosts(self, hosts: "Hosts") -> None:
        """Both hosts of the gateway are up, where it has two."""

    @asynccontextmanager
    async def lingering(self, scene: "Scene") -> AsyncIterator[None]:
        """Around the hanging up and the look for leftovers."""
        yield

    def before_exit(self) -> list[str]:
        """The gateway has ended; more sockets that the demo had, by the names of `orphans`."""
        return []

    def audits(self, audits: Sequence[Path]) -> None:
        """The audit files, before they are verified."""

    def pictures(self, folder: Path) -> None:
        """The saved pictures, before they are looked for."""


WELL: Final = Fault()


class Bent:
    """A port whose datagrams go through `bend` on their way out; None loses one."""

    def __init__(self, port: Port, bend: Callable[[bytes], bytes | None]) -> None:
        self._port = port
        self._bend = bend

    @property
    def address(self) -> Address:
        return self._port.address

    def send(self, payload: bytes, destination: Address, /) -> None:
        bent = self._bend(payload)
        if bent is not None:
            self._port.send(bent, destination)

    def close(self) -> None:
        self._port.close()


class BentNet:
    """Ports with a bend of their own each."""

    def __init__(self, net: Net, bend: Callable[[], Callable[[bytes], bytes | None]]) -> None:
        self._net = net
        self._bend = bend

    def datagrams(self, address: Address, on_datagram: OnDatagram, /) -> Port:
        return Bent(self._net.datagrams(address, on_datagram), self._bend())


class NeverClosing:
    """Ports that stay open."""

    def __init__(self, net: Net) -> None:
        self._net = net

    def datagrams(self, address: Address, on_datagram: OnDatagram, /) -> Port:
        port = self._net.datagrams(address, on_datagram)
        return Kept(port, lambda packet: packet)


class Kept(Bent):
    """A port that stays open."""

    def close(self) -> None:
        return


class Byte(Fault):
    """One byte of one packet is another one when it arrives."""

    def below(self, net: Net) -> Net:
        def bend() -> Callable[[bytes], bytes]:
            numbers = count(1)
            return lambda packet: packet[:-1] + bytes((packet[-1] ^ 1,)) if next(numbers) == 20 else packet

        return BentNet(net, bend)


class Loss(Fault):
    """One packet in fifteen is lost on its way to the gateway."""

    def below(self, net: Net) -> Net:
        def bend() -> Callable[[bytes], bytes | None]:
            numbers = count(1)
            return lambda packet: packet if next(numbers) % 15 else None

        return BentNet(net, bend)


class Camera(Fault):
    """Each camera shows the picture of its neighbour."""

    def cameras(self, cameras: Sequence[CameraSpec]) -> Sequence[CameraSpec]:
        return [replace(camera, number=camera.number + 1) for camera in cameras]


class Silent(Fault):
    """The first camera answers and sends nothing."""

    def begin(self, platforms: "Platforms") -> None:
        platforms.lower.senders.behaviours[platforms.tree.cameras[0].id] = Behaviour(media=False)


class Busy(Fault):
    """The first camera can't be played."""

    def begin(self, platforms: "Platforms") -> None:
        platforms.lower.senders.behaviours[platforms.tree.cameras[0].id] = Behaviour(refuse=486)


class Page(Fault):
    """A page of the catalog is taken by the upper platform, and forgotten."""

    page_seconds = 1.0

    def begin(self, platforms: "Platforms") -> None:
        pages = count(1)

        def deaf(message: Message) -> bool:
            return message.cmd_type == "Catalog" and next(pages) == 2

        platforms.upper.deaf = deaf


class Missing(Fault):
    """The lower platform has one camera less, of those that stay where they are."""

    def cameras(self, cameras: Sequence[CameraSpec]) -> Sequence[CameraSpec]:
        return [*cameras[:1], *cameras[2:]]


class Hidden(Fault):
    """A rule keeps back a camera that the upper platform should see."""

    meet_seconds = 2.0

    def rules(self, text: str) -> str:
        kept = '"branch:{kept}"'
        return text.replace(kept, f'{kept}, "prefix:44010600001320000001"', 1)


class Ptz(Fault):
    """The rule that forbids PTZ allows it."""

    def rules(self, text: str) -> str:
        before, rule, after = text.partition('id = "no-ptz"')
        return before + rule + after.replace('"deny"', '"allow"', 1)


class Voice(Fault):
    """One byte of the voice from above is another one when it arrives."""

    def above(self, net: Net) -> Net:
        return Byte().below(net)


class Mute(Fault):
    """The rule that lets the upper platform speak is not there."""

    def rules(self, text: str) -> str:
        before, rule, after = text.partition('id = "speak"')
        return before + rule + after.replace('"allow"', '"deny"', 1)


class HangUp(Fault):
    """The loudspeaker hangs up in the middle of the voice."""

    def begin(self, platforms: "Platforms") -> None:
        speaker = platforms.tree.speakers[0].id
        platforms.lower.listeners.habits[speaker] = Habits(hang_up_packets=20)


class Unrung(Fault):
    """The rule that lets alarms through is not there."""

    def rules(self, text: str) -> str:
        before, rule, after = text.partition('id = "alarms"')
        return before + rule + after.replace('"allow"', '"deny"', 1)


class Forgotten(Fault):
    """The upper platform says 200 to the alarm that had waited, and forgets it."""

    def begin(self, platforms: "Platforms") -> None:
        platforms.upper.alarms.forgets = 2


class OpenPort(Fault):
    """The upper platform never closes its media ports."""

    settle_seconds = 1.0

    def above(self, net: Net) -> Net:
        return NeverClosing(net)


class Session(Fault):
    """A camera is still watched when everybody has hung up."""

    settle_seconds = 1.0

    @asynccontextmanager
    async def lingering(self, scene: "Scene") -> AsyncIterator[None]:
        async with scene.upper.play(scene.cameras()[-1]):
            yield


class Outlive(Fault):
    """A socket of the demo is held by another process when the demo has exited."""

    def before_exit(self) -> list[str]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as leaked:
            leaked.bind(("127.0.0.1", 0))
            subprocess.Popen(
                ["sleep", str(LEAKED_SECONDS)],
                pass_fds=(leaked.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return sorted(held().sockets)


class Edited(Fault):
    """One word in the audit is another one."""

    def audits(self, audits: Sequence[Path]) -> None:
        trail = audits[0]
        trail.write_bytes(trail.read_bytes().replace(b'"passed"', b'"denied"', 1))


class Removed(Fault):
    """The audit's second record is gone."""

    def audits(self, audits: Sequence[Path]) -> None:
        lines = audits[0].read_bytes().splitlines(keepends=True)
        audits[0].write_bytes(b"".join(lines[:1] + lines[2:]))


class Reordered(Fault):
    """Two records of the audit changed places."""

    def audits(self, audits: Sequence[Path]) -> None:
        first, second, third, *rest = audits[0].read_bytes().splitlines(keepends=True)
        audits[0].write_bytes(b"".join((first, third, second, *rest)))


class Cut(Fault):
    """The audit ends before the refusal of PTZ: a chain that is whole, and too short."""

    def audits(self, audits: Sequence[Path]) -> None:
        lines = audits[1].read_bytes().splitlines(keepends=True)
        end = next(number for number, line in enumerate(lines) if b'"no-ptz"' in line)
        audits[1].write_bytes(b"".join(lines[:end]))


class Pictures(Fault):
    """The pictures are gone."""

    def pictures(self, folder: Path) -> None:
        for picture in folder.glob("camera-*.png"):
            picture.unlink()


class Bypass(Fault):
    """Both hosts of the gateway forward packets, and know the way to either network."""

    def hosts(self, hosts: "Hosts") -> None:
        hosts.networks.open_up()


class Unmended(Fault):
    """The wire between both hosts of the gateway stays pulled."""

    def hosts(self, hosts: "Hosts") -> None:
        hosts.stays_cut = True


HOSTS_FAULTS: Final[dict[str, type[Fault]]] = {"bypass": Bypass, "unmended": Unmended}
"""Of a gateway on two hosts alone."""

FAULTS: Final[dict[str, type[Fault]]] = {
    "none": Fault,
    "byte": Byte,
    "loss": Loss,
    "camera": Camera,
    "silent": Silent,
    "busy": Busy,
    "page": Page,
    "missing": Missing,
    "hidden": Hidden,
    "ptz": Ptz,
    "voice": Voice,
    "mute": Mute,
    "hang_up": HangUp,
    "unrung": Unrung,
    "forgotten": Forgotten,
    "port": OpenPort,
    "session": Session,
    "outlive": Outlive,
    "edited": Edited,
    "removed": Removed,
    "reordered": Reordered,
    "cut": Cut,
    "pictures": Pictures,
}
