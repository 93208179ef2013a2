"""What an upper's INVITE wishes for, or why it gets nothing (GB/T 28181-2016 9.2, annex K). Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cascade.addresses import Networks, media_objection
from cascade.model.ids import ChannelId, PlatformId
from cascade.sdp import MediaOffer, read_offer
from sip.errors import PeerError
from sip.events import Event

Resolve = Callable[[str], ChannelId | None]
"""Our key of an id this upper was shown, None for one that is unknown or not shared with it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An upper wants to see `channel`; its media goes where `offer` says, which was checked."""

    channel: ChannelId
    action: str
    stream_number: int
    upper: PlatformId
    offer: MediaOffer
    shown: str  # the id under which it asked


@dataclass(frozen=True, slots=True)
class Refusal:
    """`status` answers the INVITE. `reason` is for our log; `said` is what the upper may read of it."""

    status: int
    reason: str
    said: str = ""

    def headers(self, host: str) -> list[tuple[str, str]]:
        """A Warning (RFC 3261 20.43) of ours at `host`, if there is anything to say (Q110)."""
        return [("Warning", f'399 {host} "{self.said}"')] if self.said else []


def candidates(event: Event, offer: MediaOffer | None) -> Iterator[str]:
    """Where the channel's id may stand, in the order of Q59."""
    yield event.uri_user
    yield (event.header("Subject") or "").partition(":")[0].strip()
    if offer is not None:
        yield offer.uri_user
    yield event.to_user


def has_media(channel: ChannelId) -> bool:
    """Can it be played at all? Divisions, systems, groups, organisations and alarm contacts can't (Q28).

    A name that is no id of the standard tells nothing, so it may be a camera (Q10).
    """
    name = channel.name
    if not (name.isascii() and name.isdigit()):
        return True
    if len(name) == 20:
        return not ("200" <= name[10:13] <= "299" or name[10:13] in {"134", "135"})
    return len(name) not in {2, 4, 6, 8}


def decide(event: Event, upper: PlatformId, resolve: Resolve, networks: Networks) -> Wish | Refusal:
    """A wish, or a refusal. An id that is not shared is 404 whatever else is wrong: it tells nothing.

    `networks` are those that this upper's media may be sent to.
    """
    offer: MediaOffer | None = None
    problem = Refusal(488, "an INVITE without SDP", "an offer is needed")
    if event.body.strip():
        try:
            offer = read_offer(event.body)
        except PeerError as error:
            problem = Refusal(error.status, str(error), "this session description cannot be served")
    found = ((shown, resolve(shown)) for shown in candidates(event, offer) if shown)
    shown, channel = next(
        ((shown, key) for shown, key in found if key is not None and has_media(key)), ("", None)
    )
    if channel is None:
        return Refusal(404, f"{event.uri_user[:32]} is unknown or not shared")
    if offer is None:
        return problem
    if offer.session_name.lower() != "play":
        return Refusal(488, f"s={offer.session_name[:16]}", "only s=Play is offered here")
    if not offer.host:
        offer = replace(offer, host=event.source[0])  # Q51: no address at all is the packet's own
    objection = media_objection(offer.host, offer.port, networks)
    if objection is not None:
        return Refusal(488, objection, "media may not go to that address")
    return Wish(channel, "media.live", offer.stream_number, upper, offer, shown)
