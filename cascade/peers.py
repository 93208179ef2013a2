"""What the configuration says of us and of each peer. Ids, addresses and switches; never a password."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Literal, TypeVar, cast

from msgspec import Struct

from cascade.deviations import Deviation
from cascade.model.ids import GbId, PlatformId
from sip.algorithms import Algorithm, Qop

WireCharset = Literal["GB2312", "GB18030", "UTF-8"]
"""What we write in."""

Following = Literal["strict", "same-host", "reauth"]
"""May the address of a registered peer move: not at all, its port, or only by a new REGISTER."""

Coordinates = Literal["WGS84", "GCJ02", "unknown"]
"""WGS-84 is what the standard asks for; GCJ-02 is that of Chinese maps, some hundred metres beside it."""


Topic = Literal["catalog", "alarm"]
"""What is told to whoever has subscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Us:
    """How one side presents itself to its peers."""

    id: GbId
    domain: str  # realm and host part of our URI: usually the first ten digits of `id`
    name: str = "Lockgate"
    civil_code: str = ""  # administrative division, 2 to 8 digits; "" takes those of `id`
    manufacturer: str = "Lockgate"
    model: str = "Lockgate"
    user_agent: str = "Lockgate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PtzTerms:
    """For how long who turns a camera has it."""

    lock_seconds: float = 10.0  # after its stop
    moving_seconds: float = 60.0  # after each movement: then we stop it ourselves


USUAL_PTZ: Final = PtzTerms()


MEBIBYTE: Final = 1 << 20


class LowerTerms(Struct, frozen=True, kw_only=True):
    """How we deal with a device or platform below us. A hundred thousand devices share a few of these."""

    networks: tuple[str, ...]  # CIDR; where its signalling may come from
    media_networks: tuple[str, ...] = ()  # CIDR; where its media may come from; () is `networks`
    aliases: tuple[str, ...] = ()  # other From users it may use once it is registered (Q09)
    transport: Literal["any", "udp", "tcp", "tls"] = "any"  # by which it may register
    digest: tuple[Algorithm, ...] = ("MD5",)  # it is offered these, in this order
    digest_qop: Qop = "both"  # must its proof count the nonce
    certificate: bool = False  # its TLS connection shows one of ours, with its id among the names
    message_bytes: int = MEBIBYTE  # of one Catalog or RecordInfo that comes by a connection
    answer_pings: bool = False  # CR LF for its CR LF CR LF (RFC 5626 3.5.1)
    dial: str = ""  # address:port; where we connect to while its own connection is away
    keepalive_seconds: float = 60.0
    keepalive_misses: int = 3  # this many without one, and it is offline
    grace_seconds: float = 10.0  # added to each deadline: late because of us, not of them (Q15)
    min_expires: int = 60  # a shorter REGISTER gets 423 with Min-Expires
    max_expires: int = 86_400  # a longer one is granted this much
    binding: Following = "same-host"  # may its address move (Q06)
    revival: Literal["revive", "refuse"] = "revive"  # may a keepalive renew a lapsed lease (Q05)
    fault: Literal["flag", "offline"] = "flag"  # what a keepalive that is not OK makes of it (Q14)
    ssrc: Literal["strict", "answer", "learn"] = "answer"  # which SSRC its media must carry (Q47-Q49)
    coordinates: Coordinates = "WGS84"  # the system its places are in (Q32)
    charset: WireCharset = "GB2312"
    charset_in: Literal["auto", "GB18030", "UTF-8"] = (
        "auto"  # of what it writes; auto goes by the bytes (Q24)
    )
    catalog_seconds: float = 3600.0  # from one catalog query to the next
    first_page_seconds: float = 120.0  # Q18
    page_seconds: float = 15.0  # quiet this long between pages, and the answer is partial (Q19)
    max_items: int = 100_000  # rows of one catalog answer; more end it partial
    redirect: tuple[str, ...] = ()  # id@host:port; the servers that it is led to by 302, the first one first
    redirect_any: bool = False  # also one that does not say that it knows the 2022 edition
    subscribe: tuple[Topic, ...] = ()  # what we subscribe to at it
    subscribe_seconds: int = 600  # asked for; renewed after two thirds
    notify_state: Literal["trust", "ignore"] = "trust"  # do its notices say what is on and off (Q39)
    media_target: str = "sdp"  # whose address counts: "sdp", "source", or one that is fixed (Q51)
    to_host: Literal["address", "domain"] = "address"  # of Request-URI and To (Q60)
    domain: str = ""  # its SIP domain
    invite_seconds: float = 15.0
    first_media_seconds: float = 10.0
    media_loss_seconds: float = 15.0
    alarms_a_minute: int = 600  # more are refused with 503
    alarm_response: bool = True  # is an alarm answered by a message of its own beside the 200 (Q86)


T = TypeVar("T")


def _of(term: T) -> T:
    """The same of a peer, by its terms."""
    name: str = cast("Any", term).__name__
    return cast("T", property(attrgetter(f"terms.{name}")))


class LowerPeer(Struct, frozen=True, gc=False):
    """A device or platform below us: it registers, we query and play."""

    id: PlatformId
    terms: LowerTerms

    networks = _of(LowerTerms.networks)
    media_networks = _of(LowerTerms.media_networks)
    aliases = _of(LowerTerms.aliases)
    transport = _of(LowerTerms.transport)
    digest = _of(LowerTerms.digest)
    digest_qop = _of(LowerTerms.digest_qop)
    certificate = _of(LowerTerms.certificate)
    message_bytes = _of(LowerTerms.message_bytes)
    answer_pings = _of(LowerTerms.answer_pings)
    dial = _of(LowerTerms.dial)
    keepalive_seconds = _of(LowerTerms.keepalive_seconds)
    keepalive_misses = _of(LowerTerms.keepalive_misses)
    grace_seconds = _of(LowerTerms.grace_seconds)
    min_expires = _of(LowerTerms.min_expires)
    max_expires = _of(LowerTerms.max_expires)
    binding = _of(LowerTerms.binding)
    revival = _of(LowerTerms.revival)
    fault = _of(LowerTerms.fault)
    ssrc = _of(LowerTerms.ssrc)
    coordinates = _of(LowerTerms.coordinates)
    charset = _of(LowerTerms.charset)
    charset_in = _of(LowerTerms.charset_in)
    catalog_seconds = _of(LowerTerms.catalog_seconds)
    first_page_seconds = _of(LowerTerms.first_page_seconds)
    page_seconds = _of(LowerTerms.page_seconds)
    max_items = _of(LowerTerms.max_items)
    redirect = _of(LowerTerms.redirect)
    redirect_any = _of(LowerTerms.redirect_any)
    subscribe = _of(LowerTerms.subscribe)
    subscribe_seconds = _of(LowerTerms.subscribe_seconds)
    notify_state = _of(LowerTerms.notify_state)
    media_target = _of(LowerTerms.media_target)
    to_host = _of(LowerTerms.to_host)
    domain = _of(LowerTerms.domain)
    invite_seconds = _of(LowerTerms.invite_seconds)
    first_media_seconds = _of(LowerTerms.first_media_seconds)
    media_loss_seconds = _of(LowerTerms.media_loss_seconds)
    alarms_a_minute = _of(LowerTerms.alarms_a_minute)
    alarm_response = _of(LowerTerms.alarm_response)


ID_DIGITS: Final = 20
PLATFORM_KINDS: Final = range(200, 217)
"""Digits 11 to 13 of an id: management platforms and what belongs to them (annex D)."""


def usual_binding(peer: PlatformId, *, outside: bool) -> Following:
    """Where nobody said how far its address may move (Q06): a device on the public network sits behind
    address translation; a platform, and whatever is inside, does not."""
    regular = len(peer) == ID_DIGITS and peer.isascii() and peer.isdigit()
    platform = regular and int(peer[10:13]) in PLATFORM_KINDS  # none has an id of its own making (Q10)
    return "same-host" if outside and not platform else "reauth"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperPeer:
    """A platform above us: we register there, it queries and plays."""

    id: PlatformId
    domain: str
    host: str
    username: str  # of the digest; usually our own id
    realm: str = ""  # of its challenges
    digest: tuple[Algorithm, ...] = ("SM3", "SHA-256", "MD5")  # which of its challenges we answer
    digest_qop: Qop = "both"  # does our answer count the nonce
    port: int = 5060
    transport: Literal["udp", "tcp", "tls", "udp+tcp"] = "udp"  # the last: long requests by TCP
    answer_pings: bool = False  # CR LF for its CR LF CR LF
    networks: tuple[str, ...] = ()  # CIDR; where its signalling may come from; () is `host` alone
    media_networks: tuple[str, ...] = ()  # CIDR; where media may be sent; () is `networks`
    aliases: tuple[str, ...] = ()  # other From users it may use (Q09)
    expires: int = 86_400
    keepalive_seconds: float = 60.0
    keepalive_misses: int = 3  # this many unanswered, and we register again (Q103)
    register_renewal: Literal["same-call", "fresh"] = "same-call"  # a renewal's Call-ID and tag (Q103)
    retry_seconds: float = 60.0  # after a failed registration; doubles up to `retry_max`
    retry_jitter: float = 30.0  # random part added to each retry
    retry_max: float = 600.0
    charset: WireCharset = "GB2312"
    page_bytes: int = 1300  # of one catalog answer's body; a datagram must not be split
    page_items: int = 4  # Q99
    window: int = 1  # catalog pages under way at once
    media_target: str = "sdp"  # whose address counts: "sdp", "source", or one that is fixed (Q51)
    ssrc: Literal["strict", "answer", "learn"] = "answer"  # which SSRC its voice must carry
    invite_seconds: float = 15.0
    first_media_seconds: float = 30.0  # of a voice: somebody has to begin to speak
    media_loss_seconds: float = 60.0  # of a voice: some senders are silent while nobody speaks
    redirects: tuple[str, ...] = ()  # CIDR; where its 302 may lead us besides its own networks
    max_subscriptions: int = 16  # of its own at once; more are refused with 503
    notify_seconds: float = 1.0  # changes of the catalog are gathered this long for one that is subscribed
    notify_items: int = 100  # in one notice
    ptz_level: int = 5  # the highest that its controls count as: a higher one takes a camera over
    alarms: Literal["typed", "plain", "off"] = "typed"  # is it told any; plain: without AlarmType


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """A lower at this moment, for displays; nothing decides by it."""

    peer: PlatformId
    online: bool
    address: str = ""  # host:port, "" while unknown
    rows: int = 0
    syncing: tuple[int, int | None] | None = None  # ids so far and SumNum of the query in flight
    outcome: str = ""  # of the last catalog query
    fault: bool = False  # its last keepalive said that it is not well (Q14)
    faulty: tuple[str, ...] = ()  # those of its children that it calls broken
    deviations: Mapping[Deviation, int] = field(default_factory=dict)  # what is put up with, how often


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperView:
    """An upper at this moment, for displays; nothing decides by it."""

    upper: PlatformId
    registered: bool
    missed: int = 0  # keepalives in a row
    shared: int = 0  # ids shown so far
    pages: int = 0  # of catalog answers, sent and taken
    problem: str = ""  # why it is not registered
    deviations: Mapping[Deviation, int] = field(default_factory=dict)  # what is put up with, how often
