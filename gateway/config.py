"""The configuration: one typed TOML document, and a second file with the passwords.

Every field says its unit, default and effect here; `lockgate init` writes an example with the same
words. Unknown keys are errors. What types cannot say is checked in `gateway.config_checks`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from cascade.model.ids import GbId, PeerName, PlatformId
from cascade.model.secret import Secret
from cascade.outbox import Quota
from cascade.peers import (
    Coordinates,
    Following,
    LowerPeer,
    PtzTerms,
    UpperPeer,
    Us,
    WireCharset,
    usual_binding,
)
from certs.identities import SideName
from gateway.chamber.policy import CompiledRules
from gateway.chamber.rules import Rule
from gateway.chamber.tickets import Ticket
from gateway.config_checks import check, check_secrets
from gateway.config_link import filled
from gateway.config_reading import Problem, read
from gateway.log import Form
from gateway.words import saying
from gateway.words.system import reason
from sip.events import Listener

Seconds = Annotated[float, Meta(gt=0, le=604_800)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
Count = Annotated[int, Meta(ge=1, le=1000)]


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the document."""


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


class LowerConfig(Document, frozen=True, kw_only=True):
    """A device or platform below us: it registers with us, we query and play it."""

    id: PlatformId
    """Its id, as it registers; also its user name of the digest."""
    networks: tuple[str, ...] = ()
    """CIDR: where its signalling may come from. Default: the side's `networks`."""
    media_networks: tuple[str, ...] = ()
    """CIDR: where its media may come from. Default: `networks`."""
    aliases: tuple[PeerName, ...] = ()
    """Other names it may use in From once it is registered. Default: none."""
    transport: Literal["any", "udp", "tcp", "tls"] = "any"
    """By what it may register; a REGISTER by another one is challenged for ever. Default any."""
    certificate: bool = False
    """It registers by TLS alone, with a certificate in whose names its id stands. Default false."""
    message_bytes: Annotated[int, Meta(ge=1 << 20, le=16 << 20)] = 1 << 20
    """Bytes of one catalog or record list that it may send by TCP or TLS; any other message may have
    1 MiB. Default 1,048,576."""
    answer_pings: bool = False
    """Answer an empty line sent twice on its connection by an empty line (RFC 5626). Default false: nothing
    that is no SIP is ever sent."""
    keepalive_seconds: Seconds = 60.0
    """How often it sends a keepalive. Default 60 s."""
    keepalive_misses: Count = 3
    """So many keepalives missing, and it counts as offline. Default 3."""
    grace_seconds: Annotated[float, Meta(ge=0, le=3600)] = 10.0
    """Added to each of its deadlines, since we may be late too. Default 10 s."""
    min_expires: Annotated[int, Meta(ge=1, le=604_800)] = 60
    """Seconds: a shorter registration is refused with 423. Default 60 s."""
    max_expires: Annotated[int, Meta(ge=1, le=604_800)] = 86_400
    """Seconds: a longer registration is granted this much. Default 86,400 s, one day."""
    binding: Following | None = None
    """May its address move while it is registered: strict not even by a REGISTER, same-host to another port
    once the old one is silent, reauth by a REGISTER alone. Default same-host for a device on the outer
    side, reauth for a platform and inside."""
    revival: Literal["revive", "refuse"] = "revive"
    """May a keepalive renew a registration that has lapsed. Default revive."""
    fault: Literal["flag", "offline"] = "flag"
    """While its keepalives say it is not well: only mark it, or show it, and the channels that it
    lists as broken, offline. Default flag."""
    ssrc: Literal["strict", "answer", "learn"] = "answer"
    """SSRC of its media: as we offered, as it answered, or that of the first packet. Default answer."""
    coordinates: Coordinates = "WGS84"
    """The system its longitudes and latitudes are in. Kept with each row and never converted, so
    that a map can. Default WGS84."""
    charset: WireCharset = "GB2312"
    """In what we write to it. Default GB2312."""
    charset_in: Literal["auto", "GB18030", "UTF-8"] = "auto"
    """How to read what it writes; auto goes by the bytes, whatever they are declared. Default auto."""
    catalog_seconds: Seconds = 3600.0
    """From one catalog query to the next. Default 3,600 s."""
    first_page_seconds: Seconds = 120.0
    """Wait for the first page of a catalog. Default 120 s."""
    page_seconds: Seconds = 15.0
    """Wait for each further page; then the catalog is partial. Default 15 s."""
    max_items: Annotated[int, Meta(ge=1, le=2_000_000)] = 100_000
    """Rows one catalog answer may hold; more end it partial. Default 100,000."""
    media_target: str = "sdp"
    """Which address its media has: that in its SDP, `source` for where its SIP comes from, or the
    address written here. Default sdp."""
    to_host: Literal["address", "domain"] = "address"
    """Host part of Request-URI and To in what we send it: its address, or its domain. Default address."""
    domain: str = ""
    """Its SIP domain, for `to_host`. Default: the first ten characters of its id."""
    invite_seconds: Seconds = 15.0
    """Wait for the answer to an INVITE; then it is cancelled. Default 15 s."""
    first_media_seconds: Seconds = 10.0
    """Wait for the first media packet; then the stream ends. Default 10 s."""
    media_loss_seconds: Seconds = 15.0
    """A stream without media for so long ends. Default 15 s."""
    alarms_a_minute: Annotated[int, Meta(ge=1, le=100_000)] = 600
    """So many of its alarms are taken in a minute; more are refused with 503. Default 600."""
    alarm_response: bool = True
    """Answer its alarms by a message of their own too, as the standard asks. Default true."""


class UpperConfig(Document, frozen=True, kw_only=True):
    """A platform above us: we register there, it queries and plays."""

    id: PlatformId
    """Its id."""
    domain: str = ""
    """Its SIP domain. Default: the first ten characters of its id."""
    host: str
    """Its IP address; no host name, since names are not resolved across a boundary."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 5060
    """Its port. Default 5060."""
    transport: Literal["udp", "tcp", "tls", "udp+tcp"] = "udp"
    """By what we speak to it; with udp+tcp requests of more than 1,300 bytes go by TCP. Default udp."""
    answer_pings: bool = False
    """Answer an empty line sent twice on its connection by an empty line (RFC 5626). Default false."""
    username: str = ""
    """Our user name of the digest there. Default: our own id."""
    networks: tuple[str, ...] = ()
    """CIDR: where its signalling may come from. Default: `host` alone."""
    media_networks: tuple[str, ...] = ()
    """CIDR: where media may be sent for it. Default: `networks`."""
    aliases: tuple[PeerName, ...] = ()
    """Other names it may use in From. Default: none."""
    expires: Annotated[int, Meta(ge=60, le=604_800)] = 86_400
    """Seconds of registration that we ask for. Default 86,400 s, one day."""
    keepalive_seconds: Seconds = 60.0
    """How often we send a keepalive. Default 60 s."""
    keepalive_misses: Count = 3
    """So many keepalives unanswered, and we register again. Default 3."""
    retry_seconds: Seconds = 60.0
    """Wait after a failed registration; doubles up to `retry_max`. Default 60 s."""
    retry_jitter: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    """Seconds: random part added to each such wait. Default 30 s."""
    retry_max: Seconds = 600.0
    """The longest such wait. Default 600 s."""
    charset: WireCharset = "GB2312"
    """In what we write to it. Default GB2312."""
    page_bytes: Annotated[int, Meta(ge=400, le=60_000)] = 1300
    """Bytes in the body of one catalog page; a datagram must not be split. Default 1,300."""
    page_items: Annotated[int, Meta(ge=1, le=1000)] = 4
    """Channels in one catalog page. Default 4."""
    window: Annotated[int, Meta(ge=1, le=64)] = 1
    """Catalog pages under way at once. Default 1."""
    media_target: str = "sdp"
    """Which address its media has: that in its SDP, `source` for where its SIP comes from, or the
    address written here. Default sdp."""
    ssrc: Literal["strict", "answer", "learn"] = "answer"
    """SSRC of a voice from it: as we offered, as it answered, or that of the first packet. Default answer."""
    invite_seconds: Seconds = 15.0
    """Wait for its answer when we fetch its voice; then the INVITE is cancelled. Default 15 s."""
    first_media_seconds: Seconds = 30.0
    """Wait for the first packet of its voice; then the broadcast ends. Default 30 s."""
    media_loss_seconds: Seconds = 60.0
    """A broadcast without a packet for so long ends; some send none in silence. Default 60 s."""
    ptz_level: Annotated[int, Meta(ge=0, le=255)] = 5
    """The level of its PTZ; a higher one takes a camera over. A command may claim less. Default 5."""
    alarms: Literal["typed", "plain", "off"] = "typed"
    """Is it told of alarms: typed with AlarmType, plain without it (editions before 2016), off not
    at all. Default typed."""


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
    lower: tuple[LowerConfig, ...] = ()
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
        for lower in self.lower:
            fields = asdict(lower)
            fields["networks"] = lower.networks or self.networks
            fields["media_networks"] = lower.media_networks or fields["networks"]
            fields["domain"] = lower.domain or lower.id[:10]
            fields["binding"] = lower.binding or usual_binding(lower.id, outside=name == "outer")
            peers[lower.id] = LowerPeer(**fields)
        return peers

    def uppers(self) -> dict[PlatformId, UpperPeer]:
        """By id, with the side's defaults filled in."""
        peers = {}
        for upper in self.upper:
            fields = asdict(upper)
            fields["domain"] = upper.domain or upper.id[:10]
            fields["username"] = upper.username or self.id
            fields["networks"] = upper.networks or (upper.host,)
            fields["media_networks"] = upper.media_networks or fields["networks"]
            peers[upper.id] = UpperPeer(**fields)
        return peers


class GatewayConfig(Document, frozen=True, kw_only=True):
    """The program itself."""

    state: str
    """Folder for the databases and audit files; relative to this file."""
    secrets: str = "secrets.toml"
    """File with the passwords; relative to this file. Default secrets.toml."""


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


class Config(Document, frozen=True, kw_only=True):
    """The whole document."""

    gateway: GatewayConfig
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


class Passwords(Document, frozen=True, kw_only=True):
    """The peers of one side: id = password."""

    passwords: dict[str, Secret] = {}


class SecretsFile(Document, frozen=True, kw_only=True):
    """The secrets file as it is written."""

    outer: Passwords = Passwords()
    inner: Passwords = Passwords()


class Secrets(Struct, frozen=True):
    """Passwords by the id of the peer."""

    outer: dict[str, Secret] = {}
    inner: dict[str, Secret] = {}

    def of(self, side: SideName) -> dict[str, Secret]:
        return self.outer if side == "outer" else self.inner


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


def load_secrets(path: Path) -> Secrets:
    """The passwords by side and peer. Raises ConfigError."""
    found, problems = read(path, SecretsFile, secret=True)
    if found is None:
        raise ConfigError(problems)
    return Secrets(outer=found.outer.passwords, inner=found.inner.passwords)


def examine(path: Path, side: SideName | None = None, *, place: Path | None = None) -> Examined:
    """Everything that is wrong or odd, as far as it can be read.

    Where one side alone runs on this host, the other's table needs no more than ids. `place`: as if the
    file stood there, which is where its folders and its secrets are then.
    """
    config, unreadable = read(path, Config, filled=lambda document: filled(document, side))
    if config is None:
        return Examined(None, tuple(unreadable))
    config = _resolved(config, (place or path).resolve().parent)
    found = check(config, path, side)
    file, secrets = Path(config.gateway.secrets), Secrets()
    try:
        secrets = load_secrets(file)
        found += check_secrets(config, secrets, file, side)
    except ConfigError as error:
        found += error.problems
    except OSError as error:  # it went while it was looked at
        found.append(Problem(str(file), "", saying("config.unreadable", reason=reason(error))))
    return Examined(
        config,
        tuple(problem for problem in found if not problem.warning),
        tuple(problem for problem in found if problem.warning),
        secrets,
    )


def _resolved(config: Config, folder: Path) -> Config:
    given = config.gateway
    state = str(folder / given.state)
    return replace(
        config,
        gateway=replace(given, state=state, secrets=str(folder / given.secrets)),
        outer=_with_files(config.outer, folder),
        inner=_with_files(config.inner, folder),
        link=replace(config.link, certs=str(folder / config.link.certs)),
    )


def _with_files(side: SideConfig, folder: Path) -> SideConfig:
    files = {name: str(folder / file) for name, file in asdict(side.tls).items() if file}
    return replace(side, tls=replace(side.tls, **files)) if files else side
