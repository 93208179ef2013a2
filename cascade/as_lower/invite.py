"""What an upper's INVITE wishes for, or why it gets nothing (GB/T 28181-2016 9.2, annex K). Pure."""

from collections.abc import Callable, Iterator

from cascade.accepting import Refusal, Wish, checked, offer_of
from cascade.addresses import Networks
from cascade.deviations import Deviation
from cascade.model.ids import ChannelId, PlatformId
from cascade.sdp import MediaOffer
from sip.events import Event

Resolve = Callable[[str], ChannelId | None]
"""Our key of an id this upper was shown, None for one that is unknown or not shared with it."""


def candidates(event: Event, offer: MediaOffer | None) -> Iterator[str]:
    """Where the channel's id may stand, in the order of Q59."""
    yield event.uri_user
    yield (event.header("Subject") or "").partition(":")[0].strip()
    if offer is not None:
        yield offer.uri_user
    yield event.to_user


def odd_in(event: Event, wish: Wish) -> Iterator[Deviation]:
    """What in an INVITE is put up with."""
    if wish.offer.ssrc is None:
        yield "no-y"
    if event.uri_user != wish.shown:
        yield "channel-elsewhere"
    if event.from_user != wish.peer:
        yield "another-name"
    if not event.body.endswith(b"\r\n"):
        yield "line-ends"


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


def decide(
    event: Event, upper: PlatformId, resolve: Resolve, networks: Networks, target: str = "sdp"
) -> Wish | Refusal:
    """A wish, or a refusal. An id that is not shared is 404 whatever else is wrong: it tells nothing.

    `networks` are those that this upper's media may be sent to, `target` its `media_target`.
    """
    read = offer_of(event, "video")
    offer = read if isinstance(read, MediaOffer) else None
    found = ((shown, resolve(shown)) for shown in candidates(event, offer) if shown)
    shown, channel = next(
        ((shown, key) for shown, key in found if key is not None and has_media(key)), ("", None)
    )
    if channel is None:
        return Refusal(404, f"{event.uri_user[:32]} is unknown or not shared")
    if isinstance(read, Refusal):
        return read
    fit = checked(event, read, networks, target)
    if isinstance(fit, Refusal):
        return fit
    return Wish(channel=channel, peer=upper, offer=fit, shown=shown, stream_number=fit.stream_number)
