"""The configuration: one typed TOML document. What proves peers is kept elsewhere (`gateway.credentials`).

Every field says its unit, default and effect here; `lockgate init` writes an example with the same
words. Unknown keys are errors. What types cannot say is checked in `gateway.config_checks`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from cascade.model.ids import GbId, PlatformId
from cascade.outbox import Quota
from cascade.peers import (
    Following,
    LowerPeer,
    LowerTerms,
    PtzTerms,
    UpperPeer,
    Us,
    usual_binding,
)
from certs.identities import SideName
from gateway.chamber.policy import CompiledRules
from gateway.chamber.rules import Rule
from gateway.chamber.tickets import Ticket
from gateway.config_admit import AdmitConfig, admitted
from gateway.config_checks import check, check_admitted, check_secrets
from gateway.config_document import Document, Port
from gateway.config_limits import LimitsConfig
from gateway.config_link import filled
from gateway.config_lowers import Lowers, pairs
from gateway.config_peers import LowerConfig, UpperConfig
from gateway.config_reading import Problem, read
from gateway.credentials.holders import Secrets, load_secrets
from gateway.credentials.key import SecretsUnusable
from gateway.log import Form
from gateway.tls import TlsFiles, read_sides
from sip.events import Listener

STORE: Final = "secrets.sealed"
DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}


class ListenConfig(Document, frozen=True, kw_only=True):
    """One more address of signalling on this side."""

    transport: Literal["udp", "tcp", "tls"]
    """udp, tcp or tls; the last needs the side's certificate."""
    address: str = ""
    """IP address of this machine's interface in this network, IPv4 or IPv6. Default: the side's `address`."""
    port: Port = 0
    """Its port. Default 5060, with tls 5061."""


class TlsConfig(Document, frozen=True, kw_only=True):
    """How this side shows who it is by TLS, and whose certificates it believes."""

    certificate: str = ""
    """File with our certificate chain, PEM; relative to this file. Needed where anything is tls."""
    key: str = ""
    """File with its private key, PEM, readable by nobody else; relative to this file."""
    authority: str = ""
    """File with the authorities of our peers' certificates, PEM; relative to this file. Default: nobody's
    certificate is asked for, and that of an upper is not checked."""


class SideConfig(Document, frozen=True, kw_only=True):
    """One network: how we are known there, our addresses, and our peers."""

    id: str
    """Our id there, 20 digits."""
    domain: str = ""
    """Our SIP domain there. Default: the first ten digits of `id`."""
    name: str = "Lockgate"
    """What peers show for us. Default Lockgate."""
    civil_code: str = ""
    """Administrative division, 2 to 8 digits. Default: taken from `id`."""
    address: str
    """IP address of this machine's interface in this network, for signalling."""
    port: Port = 5060
    """UDP port of signalling. Default 5060."""
    listen: tuple[ListenConfig, ...] = ()
    """Further addresses of signalling: TCP, TLS, IPv6. Default: none."""
    tls: TlsConfig = TlsConfig()
    """Certificates for TLS in this network."""
    media_address: str = ""
    """IP address of the interface for media. Default: `address`."""
    media_ports: tuple[Port, Port]
    """First and last UDP port for media. A stream takes two: an even one and the next."""
    networks: Annotated[tuple[str, ...], Meta(min_length=1)]
    """CIDR: where signalling may come from. Any other source gets no answer."""
    receive_buffer: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 4 * 1024 * 1024
    """Bytes asked for the signalling socket's receive buffer. Default 4 MiB."""
    limits: LimitsConfig = LimitsConfig()
    """What this side holds and takes at most."""
    admit: tuple[AdmitConfig, ...] = ()
    """Rules by which platforms and devices are below us that have a password and no table of their own."""
    lower: Sequence[LowerConfig] = ()
    """Platforms and devices below us in this network."""
    upper: tuple[UpperConfig, ...] = ()
    """Platforms above us in this network."""

    def peers(self) -> Iterator[tuple[str, LowerConfig | UpperConfig]]:
        """Every peer of this side with its key: `lower[#1]` is the first [[….lower]]."""
        for number, lower in enumerate(self.lower, start=1):
            yield f"lower[#{number}]", lower
        for number, upper in enumerate(self.upper, start=1):
            yield f"upper[#{number}]", upper

    def listeners(self) -> list[Listener]:
        """Every address but the first, with the defaults filled in."""
        return [
            (more.transport, more.address or self.address, more.port or DEFAULT_PORTS[more.transport])
            for more in self.listen
        ]

    def us(self) -> Us:
        return Us(
            id=GbId(self.id),
            domain=self.domain or self.id[:10],
            name=self.name,
            civil_code=self.civil_code,
        )

    def lowers(self, name: SideName) -> dict[PlatformId, LowerPeer]:
        """By id, with the defaults of the side that bears that name filled in."""
        peers = {}
        shared: dict[tuple[int, str, Following], LowerTerms] = {}
        for peer, alike in pairs(self.lower):
            domain = alike.domain or peer[:10]
            binding = alike.binding or usual_binding(peer, outside=name == "outer")
            key = id(alike), domain, binding
            terms = shared.get(key)
            if terms is None:
                terms = shared[key] = self._terms(alike, domain, binding)
            peers[peer] = LowerPeer(peer, terms)
        return peers

    def _terms(self, lower: LowerConfig, domain: str, binding: Following) -> LowerTerms:
        fields = asdict(lower)
        del fields["id"]
        networks = lower.networks or self.networks
        media = lower.media_networks or networks
        given = {"networks": networks, "media_networks": media, "domain": domain, "binding": binding}
        return LowerTerms(**(fields | given))

    def uppers(self) -> dict[PlatformId, UpperPeer]:
        """By id, with the side's defaults filled in."""
        peers = {}
        for upper in self.upper:
            fields = asdict(upper)
            fields["domain"] = upper.domain or upper.id[:10]
            fields["username"] = upper.username or self.id
            fields["realm"] = upper.realm or fields["domain"]
            fields["networks"] = upper.networks or (upper.host,)
            fields["media_networks"] = upper.media_networks or fields["networks"]
            peers[upper.id] = UpperPeer(**fields)
        return peers


class GatewayConfig(Document, frozen=True, kw_only=True):
    """The program itself."""

    state: str
    """Folder for the databases and audit files; relative to this file."""


class SecretsConfig(Document, frozen=True, kw_only=True):
    """Where what proves our peers and us is kept (`lockgate secret`)."""

    store: str = ""
    """The sealed file; relative to this file. Default secrets.sealed in the state folder."""
    key: str = "secrets.key"
    """Its key, 64 hex digits, readable by nobody else; relative to this file. The first secret makes it.
    Default secrets.key."""


class MediaConfig(Document, frozen=True, kw_only=True):
    """Streams."""

    linger_seconds: Annotated[float, Meta(ge=0, le=3600)] = 10.0
    """A camera goes on sending for so long after its last viewer has gone. Default 10 s."""
    max_bits_per_second: Annotated[int, Meta(ge=64_000, le=1_000_000_000)] = 32_000_000
    """Of one stream; what is over is dropped and counted. Default 32,000,000."""


class PtzConfig(Document, frozen=True, kw_only=True):
    """Cameras that are turned from above."""

    lock_seconds: Annotated[float, Meta(ge=0, le=3600)] = 10.0
    """Whoever turned a camera has it for so long after its stop; a higher level takes it at once.
    Default 10 s."""
    moving_seconds: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    """A movement that nobody stops or renews for so long is stopped by us. Default 60 s."""

    def terms(self) -> PtzTerms:
        return PtzTerms(**asdict(self))


class AlarmsConfig(Document, frozen=True, kw_only=True):
    """Alarms that are kept on disk for the other side or an upper that is away, for each of them."""

    kept: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """So many; then the oldest is lost. Default 10,000."""
    kept_bytes: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 16_777_216
    """Bytes; then the oldest is lost. Default 16 MiB."""

    def quota(self) -> Quota:
        return Quota(count=self.kept, bytes=self.kept_bytes)


class LogConfig(Document, frozen=True, kw_only=True):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written. Default info."""
    form: Form = "console"
    """`console` for people, `json` for programs: one line an event. Default console."""


class LinkConfig(Document, frozen=True, kw_only=True):
    """The link between two hosts, where each side runs on one of its own (`--side`)."""

    outer: str = ""
    """IP address of the outer side's host on the wire between the two. Needed with `--side`."""
    inner: str = ""
    """The same of the inner side's host."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 7281
    """TCP port of the link on the host that is dialled. Default 7281."""
    media_port: Annotated[int, Meta(ge=1, le=65_535)] = 7282
    """UDP port of media between the hosts, the same on both. Default 7282."""
    dials: Literal["inner", "outer", "both"] = "inner"
    """Which side opens the connection. Default inner, so that no connection comes in from outside."""
    certs: str = "certs"
    """Folder with this host's certificate, key, ca.pem and revoked.pem; relative to this file.
    Default certs."""
    alive_seconds: Annotated[float, Meta(ge=0.5, le=60)] = 5.0
    """A word at least so often, where nothing else is said; three missing, and the link is down.
    Default 5 s."""
    unheard_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 30)] = 33_554_432
    """Bytes of crossings that the other host has not confirmed, kept for a link that comes back. The newest
    is refused beyond, and who sent it told; the door counts it under the rule link-full. Default 32 MiB."""


class Config(Document, frozen=True, kw_only=True):
    """The whole document."""

    gateway: GatewayConfig
    secrets: SecretsConfig = SecretsConfig()
    log: LogConfig = LogConfig()
    media: MediaConfig = MediaConfig()
    ptz: PtzConfig = PtzConfig()
    alarms: AlarmsConfig = AlarmsConfig()
    link: LinkConfig = LinkConfig()
    outer: SideConfig
    inner: SideConfig
    rule: tuple[Rule, ...] = ()

    def rules(self, tickets: Sequence[Ticket] = ()) -> CompiledRules:
        return CompiledRules(self.rule, tickets=tickets)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says each thing that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Examined(Struct, frozen=True):
    """A document and all that is to be said about it; `config` is None where it cannot be read."""

    config: Config | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    secrets: Secrets = Secrets()
    files: dict[SideName, TlsFiles] = {}  # of each side that runs here

    @property
    def usable(self) -> bool:
        return self.config is not None and not self.problems


def load(path: Path, side: SideName | None = None) -> Config:
    """Read, check and resolve; paths in the result are absolute. `side`: that alone runs here.

    Raises:
        ConfigError: anything at all is wrong. Warnings alone do not count.
    """
    examined = examine(path, side)
    if examined.config is None or examined.problems:
        raise ConfigError(examined.problems)
    return examined.config


def examine(
    path: Path, side: SideName | None = None, *, place: Path | None = None, secrets: bool = True
) -> Examined:
    """Everything that is wrong or odd, as far as it can be read.

    Where one side alone runs on this host, the other's table needs no more than ids. `place`: as if the
    file stood there, which is where its folders and its secrets are then. `secrets`: look at them too.
    """
    config, unreadable = read(path, Config, filled=lambda document: filled(document, side))
    if config is None:
        return Examined(None, tuple(unreadable))
    config = _resolved(config, (place or path).resolve().parent)
    found = check(config, path, side)
    known = Secrets()
    if secrets:
        try:
            known = load_secrets(config)
            config, wrong = admitted(config, known.ids(), side)
            found += [Problem(str(path), key, what) for key, what in wrong]
            found += check_admitted(config, path, side)
            found += check_secrets(config, known, path, side)
        except SecretsUnusable as error:
            found.append(Problem(str(path), "secrets", error.said))
    files, unusable = read_sides(config, path, side)
    found += unusable
    return Examined(
        config,
        tuple(problem for problem in found if not problem.warning),
        tuple(problem for problem in found if problem.warning),
        known,
        files,
    )


def _resolved(config: Config, folder: Path) -> Config:
    given, kept = config.gateway, config.secrets
    state = str(folder / given.state)
    return replace(
        config,
        gateway=replace(given, state=state),
        secrets=SecretsConfig(
            store=str(folder / kept.store) if kept.store else str(Path(state) / STORE),
            key=str(folder / kept.key),
        ),
        outer=_with_files(config.outer, folder),
        inner=_with_files(config.inner, folder),
        link=replace(config.link, certs=str(folder / config.link.certs)),
    )


def _with_files(side: SideConfig, folder: Path) -> SideConfig:
    side = replace(side, lower=Lowers(side.lower))
    files = {name: str(folder / file) for name, file in asdict(side.tls).items() if file}
    return replace(side, tls=replace(side.tls, **files)) if files else side
