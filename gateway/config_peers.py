"""The tables of the configuration that describe a peer of a side, below us or above."""

from typing import Annotated, Literal

from msgspec import Meta

from cascade.model.ids import PeerName, PlatformId
from cascade.peers import Coordinates, Following, WireCharset
from gateway.config_document import Count, Document, Seconds
from sip.algorithms import Algorithm, Qop


class LowerTerms(Document, frozen=True, kw_only=True):
    """How we deal with a device or platform below us, whoever it is."""

    networks: tuple[str, ...] = ()
    """CIDR: where its signalling may come from. Default: the side's `networks`."""
    media_networks: tuple[str, ...] = ()
    """CIDR: where its media may come from. Default: `networks`."""
    transport: Literal["any", "udp", "tcp", "tls"] = "any"
    """By what it may register; a REGISTER by another one is challenged for ever. Default any."""
    digest: tuple[Algorithm, ...] = ("MD5",)
    """By which digests it may prove itself, the preferred one first: it answers the first that it knows, and
    none that is not here. Default MD5, which every device knows."""
    digest_qop: Qop = "both"
    """Its proofs count their nonce: both as it can; none and it is not offered qop, which a few
    devices answer wrongly; auth and a proof without is wrong. Default both, which every device knows."""
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
    redirect: tuple[str, ...] = ()
    """Servers that it is led to by 302 once it has proved who it is, as id@address:port, the best first.
    It is taken here if it comes back within ten minutes. Default: none."""
    redirect_any: bool = False
    """Lead it away too where it does not say X-GB-Ver 3.0, that of the 2022 edition. Default false."""
    subscribe: tuple[Literal["catalog", "alarm"], ...] = ()
    """What we subscribe to at it, so that it tells us at once: catalog, alarm. Default: nothing, and its
    catalog is asked for every `catalog_seconds`."""
    subscribe_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 600
    """How long a subscription lasts that we ask for; it is renewed after two thirds. Default 600 s."""
    notify_state: Literal["trust", "ignore"] = "trust"
    """Do its notices say what is on and off; some platforms say OFF of what plays. Default trust."""
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


class LowerConfig(LowerTerms, frozen=True, kw_only=True):
    """A device or platform below us: it registers with us, we query and play it."""

    id: PlatformId
    """Its id, as it registers; also its user name of the digest."""
    aliases: tuple[PeerName, ...] = ()
    """Other names it may use in From once it is registered. Default: none."""
    dial: str = ""
    """Where it takes connections, as address:port. While its own is away, who registered by TCP or TLS is
    connected to there. Default: nowhere, and what we ask of it waits up to 8 s for it to connect."""


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
    """Our user name of the digest there. Default: that with which its secret was set, usually our own id."""
    realm: str = ""
    """The realm of its challenges. Default: its domain."""
    digest: tuple[Algorithm, ...] = ("SM3", "SHA-256", "MD5")
    """Which of its challenges we answer: of several the strongest. Default: each."""
    digest_qop: Qop = "both"
    """Do we count its nonce: both as it offers it (auth, else auth-int, else not); none never; auth
    always, and a challenge without qop is not answered. Default both."""
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
    register_renewal: Literal["same-call", "fresh"] = "same-call"
    """Renew a registration under its Call-ID with the next number, or each time as if it were new. Default
    same-call."""
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
    redirects: tuple[str, ...] = ()
    """CIDR: where its 302 may lead us, besides `networks`, to a server of its id or `aliases`; not with tls.
    Default: nowhere else."""
    max_subscriptions: Annotated[int, Meta(ge=0, le=256)] = 16
    """Subscriptions of its own at once; more are refused with 503. Default 16."""
    notify_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    """Changes of the catalog are gathered for so long before a subscriber is told. Default 1 s."""
    notify_items: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Changes in one notice, which is never longer than `page_bytes`. Default 100."""
    ptz_level: Annotated[int, Meta(ge=0, le=255)] = 5
    """The level of its PTZ; a higher one takes a camera over. A command may claim less. Default 5."""
    alarms: Literal["typed", "plain", "off"] = "typed"
    """Is it told of alarms: typed with AlarmType, plain without it (editions before 2016), off not
    at all. Default typed."""
