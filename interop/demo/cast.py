"""Who is on stage and where, and the configuration that an administrator would write for them."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway import config
from gateway.credentials.holders import Secrets, load_secrets
from interop.demo.faults import WELL, Fault
from interop.demo.sealing import seal
from interop.sim.net import Address

LOWER_ID: Final = "44010600002000000001"
OUTER_ID: Final = "44010000002000000001"
INNER_ID: Final = "44010000002000000002"
UPPER_ID: Final = "44000000002000000001"
SHARED, KEPT = "Roads", "Schools"
KEPT_BRANCH: Final = "44010600002160000002"
CAMERA: Final = "132"

OUTER: Final = "127.0.1.1"
LOWER: Final = "127.0.1.2"
INNER: Final = "127.0.2.1"
UPPER: Final = "127.0.2.2"
OUTER_NETWORK: Final = "127.0.1.0/24"
INNER_NETWORK: Final = "127.0.2.0/24"

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
networks = ["{outer_network}"]

[[outer.lower]]
id = "{lower_id}"

[inner]
id = "{inner_id}"
address = "{inner}"
port = {inner_port}
media_ports = [31000, 31398]
networks = ["{inner_network}"]

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


RING: Final = """
[[rule]]
id = "alarms"
reason = "The upper platform is told of the alarms of what it sees."
direction = "inward"
action = "notice.alarm"
channels = ["*"]
verdict = "allow"
"""

SPEAK: Final = """
[[rule]]
id = "speak"
reason = "The upper platform may speak through the loudspeakers that it sees."
direction = "outward"
action = "media.broadcast"
channels = ["*"]
verdict = "allow"
"""


@dataclass(frozen=True, slots=True)
class Cast:
    """Signalling addresses of the gateway's two sides and of the platform on either, and their networks."""

    outer: Address
    lower: Address
    inner: Address
    upper: Address
    networks: tuple[str, str] = field(default=(OUTER_NETWORK, INNER_NETWORK), kw_only=True)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.outer[0], self.lower[0], self.inner[0], self.upper[0]


def demo_cast() -> Cast:
    """The demo's hosts, each with the port of SIP where it is free, else with any."""
    return Cast(*((host, free_port(host)) for host in (OUTER, LOWER, INNER, UPPER)))


def quiet_cast() -> Cast:
    """The demo's hosts at ports that nobody else on this machine asks for, for what starts them once and only
    once: tests run beside each other, and beside demos."""
    return Cast(*((host, free_port(host, 0)) for host in (OUTER, LOWER, INNER, UPPER)))


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


def write_config(
    folder: Path,
    password: str,
    fault: Fault = WELL,
    *,
    cast: Cast | None = None,
    upper_more: Sequence[str] = (),
    more: str = "",
) -> tuple[config.Config, Secrets]:
    """Write both files as an administrator would, and read them back through the product's checks.

    `cast` is the demo's own where None; `upper_more` are lines about the upper platform, `more` whole tables.
    """
    cast = cast or demo_cast()
    text = fault.rules(CONFIG + SPEAK + RING).format(
        outer_network=cast.networks[0],
        inner_network=cast.networks[1],
        outer=cast.outer[0],
        outer_id=OUTER_ID,
        outer_port=cast.outer[1],
        inner=cast.inner[0],
        inner_id=INNER_ID,
        inner_port=cast.inner[1],
        upper=cast.upper[0],
        upper_id=UPPER_ID,
        upper_port="\n".join((str(cast.upper[1]), *upper_more)),
        lower_id=LOWER_ID,
        kept=KEPT_BRANCH,
    )
    (folder / "gateway.toml").write_text(text + more)
    file = folder / "gateway.toml"
    seal(file, {LOWER_ID: password, UPPER_ID: password})
    loaded = config.load(file)
    return loaded, load_secrets(loaded)
