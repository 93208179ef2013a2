"""The demo's cast: two networks on loopback, a gateway between them, a platform on either side."""

import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Final

from gateway import config
from gateway.app import Gateway, Surroundings, open_gateway, real_surroundings
from interop.demo.faults import WELL, Fault
from interop.sim.catalog import Tree, sample_tree
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server
from interop.sim.net import RealNet
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from sip._native import Engine
from sip.aio.calls import Calls
from sip.aio.driver import UdpDriver
from sip.endpoint import Endpoint, Party

OUTER: Final = "127.0.1.1"
INNER: Final = "127.0.2.1"
LOWER: Final = "127.0.1.2"
UPPER: Final = "127.0.2.2"

LOWER_ID: Final = "44010600002000000001"
OUTER_ID: Final = "44010000002000000001"
INNER_ID: Final = "44010000002000000002"
UPPER_ID: Final = "44000000002000000001"
SHARED, KEPT = "Roads", "Schools"
KEPT_BRANCH: Final = "44010600002160000002"
CAMERA: Final = "132"

CONFIG: Final = """\
[gateway]
state = "state"

[media]
linger_seconds = 1.0

[outer]
id = "{outer_id}"
address = "{outer}"
port = {outer_port}
media_ports = [30000, 30398]
networks = ["127.0.1.0/24"]

[[outer.lower]]
id = "{lower_id}"

[inner]
id = "{inner_id}"
address = "{inner}"
port = {inner_port}
media_ports = [31000, 31398]
networks = ["127.0.2.0/24"]

[[inner.upper]]
id = "{upper_id}"
host = "{upper}"
port = {upper_port}

[[rule]]
id = "no-schools"
reason = "The schools' cameras stay on the public network."
direction = "inward"
action = "catalog.rows"
channels = ["branch:{kept}"]
verdict = "deny"

[[rule]]
id = "show-the-rest"
reason = "Everything else may be seen."
direction = "inward"
action = "catalog.rows"
channels = ["*"]
verdict = "allow"

[[rule]]
id = "presence"
reason = "The upper platform must know which cameras are online."
direction = "inward"
action = "notice.presence"
channels = ["*"]
verdict = "allow"

[[rule]]
id = "ask"
reason = "The upper platform may ask devices what they are."
direction = "outward"
action = "query.*"
channels = ["*"]
verdict = "allow"

[[rule]]
id = "no-live-schools"
reason = "The schools' cameras stay on the public network."
direction = "outward"
action = "media.live"
channels = ["branch:{kept}"]
verdict = "deny"

[[rule]]
id = "no-ptz"
reason = "Cameras are turned from the public network only."
direction = "outward"
action = "control.ptz"
channels = ["*"]
verdict = "deny"

[[rule]]
id = "live"
reason = "The upper platform may watch live what it sees."
direction = "outward"
action = "media.live"
channels = ["*"]
verdict = "allow"
"""

PORT_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Scene:
    """Everybody, up and running."""

    gateway: Gateway
    around: Surroundings
    lower: LowerPlatform
    upper: UpperPlatform
    tree: Tree
    audits: Sequence[Path]

    def cameras(self) -> list[str]:
        """Ids of the lower platform's cameras that the rules share, then those they keep."""
        return [camera.id for camera in self.tree.cameras if camera.parent != KEPT_BRANCH]

    def kept(self) -> list[str]:
        return [camera.id for camera in self.tree.cameras if camera.parent == KEPT_BRANCH]


def free_port(address: str, wanted: int = 5060) -> int:
    """`wanted` where it is free on that address, else any port that is."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                trial.bind((address, port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise OSError(f"no free UDP port on {address}")


def write_config(folder: Path, password: str, fault: Fault = WELL) -> tuple[config.Config, config.Secrets]:
    """Write both files as an administrator would, and read them back through the product's checks."""
    text = fault.rules(CONFIG).format(
        outer=OUTER,
        outer_id=OUTER_ID,
        outer_port=free_port(OUTER),
        inner=INNER,
        inner_id=INNER_ID,
        inner_port=free_port(INNER),
        upper=UPPER,
        upper_id=UPPER_ID,
        upper_port=free_port(UPPER),
        lower_id=LOWER_ID,
        kept=KEPT_BRANCH,
    )
    (folder / "gateway.toml").write_text(text)
    secrets = folder / "secrets.toml"
    secrets.touch(mode=0o600)
    secrets.write_text(
        f'[outer.passwords]\n"{LOWER_ID}" = "{password}"\n\n[inner.passwords]\n"{UPPER_ID}" = "{password}"\n'
    )
    return config.load(folder / "gateway.toml"), config.load_secrets(secrets)


@dataclass(frozen=True, slots=True)
class Platforms:
    """The two simulators, on sockets of their own."""

    lower: LowerPlatform
    upper: UpperPlatform
    tree: Tree


@asynccontextmanager
async def open_platforms(
    written: config.Config, password: str, cameras: int, workers: Executor, fault: Fault = WELL
) -> AsyncIterator[Platforms]:
    """Open both platforms for the gateway of that configuration. `lower.run()` is the caller's to start."""
    tree = sample_tree(LOWER_ID, "County platform", cameras, branches=(SHARED, KEPT))
    upper_port = written.inner.upper[0].port
    async with AsyncExitStack() as held:
        calls = await _calls(held, Party(UPPER_ID, UPPER_ID[:10]), (UPPER, upper_port), "127.0.2.0/24")
        upper = UpperPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=fault.above(RealNet()),
            media_host=UPPER,
            passwords={INNER_ID: password},
            workers=workers,
        )
        calls = await _calls(held, Party(LOWER_ID, LOWER_ID[:10]), (LOWER, free_port(LOWER)), "127.0.1.0/24")
        lower = LowerPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=fault.below(RealNet()),
            server=Server(OUTER_ID, OUTER_ID[:10], (OUTER, written.outer.port)),
            password=password,
            media_host=LOWER,
            name=tree.name,
            cameras=fault.cameras(tree.cameras),
            branches=tree.branches,
            workers=workers,
        )
        platforms = Platforms(lower, upper, tree)
        fault.begin(platforms)
        yield platforms


@asynccontextmanager
async def open_scene(
    folder: Path, cameras: int, workers: Executor, fault: Fault = WELL
) -> AsyncIterator[Scene]:
    """Start everybody, the upper platform first; leaving ends them, the gateway before the platforms.

    Another demo may take a port between our look and our bind: then all of it is tried again.
    """
    async with AsyncExitStack() as held:
        for left in reversed(range(PORT_TRIES)):
            try:
                scene = await held.enter_async_context(_open_scene(folder, cameras, workers, fault))
                break
            except OSError:
                if not left:
                    raise
        yield scene


@asynccontextmanager
async def _open_scene(folder: Path, cameras: int, workers: Executor, fault: Fault) -> AsyncIterator[Scene]:
    password = token_bytes(12).hex()
    written, secrets = write_config(folder, password, fault)
    async with (
        open_platforms(written, password, cameras, workers, fault) as platforms,
        real_surroundings(written) as around,
        open_gateway(written, secrets, around) as gateway,
        Tasks() as background,
    ):
        background.start(platforms.lower.run())
        audits = [Path(written.gateway.state) / side / "audit.jsonl" for side in ("outer", "inner")]
        yield Scene(gateway, around, platforms.lower, platforms.upper, platforms.tree, audits)


async def _calls(held: AsyncExitStack, me: Party, address: tuple[str, int], network: str) -> Calls:
    engine = Engine(address, me.host, [network], token_bytes(32))
    held.callback(engine.close)
    endpoint = Endpoint(engine, me, user_agent="Lockgate simulator")
    held.enter_context(UdpDriver(engine, endpoint))
    return await held.enter_async_context(Calls(endpoint))
