"""What the two ends of a subscription say to each other (RFC 6665): Event and Subscription-State as values.

No dialog, no timer: whoever subscribes or notifies has those.
"""

from dataclasses import dataclass
from typing import Final, Literal

from sip.events import Headers

MAX_SECONDS: Final = 1 << 31

ENDS: Final = frozenset({404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604})
"""Answers to a NOTIFY that mean: nobody is subscribed here (RFC 6665 4.2.2, RFC 5057)."""

Reason = Literal["", "deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant"]

_REASONS: Final[dict[str, Reason]] = {
    "deactivated": "deactivated",
    "probation": "probation",
    "rejected": "rejected",
    "timeout": "timeout",
    "giveup": "giveup",
    "noresource": "noresource",
    "invariant": "invariant",
}


@dataclass(frozen=True, slots=True)
class EventType:
    """`package` in small letters, since names are compared without regard to case; `id` as it was sent."""

    package: str
    id: str = ""


def read_event(text: str | None) -> EventType | None:
    """The value of an Event header; None where there is none that can be read."""
    package, *parameters = (text or "").split(";")
    package = package.strip().lower()
    if not package or not all(char.isalnum() or char in "-.!%*_+`'~" for char in package):
        return None
    return EventType(package, _parameter(parameters, "id"))


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """Of a NOTIFY. `seconds` is how long the subscription still lasts, or after what one may try again."""

    active: bool
    seconds: int | None = None
    reason: Reason = ""

    @property
    def header(self) -> tuple[str, str]:
        if self.active:
            return "Subscription-State", f"active;expires={self.seconds or 0}"
        again = "" if self.seconds is None else f";retry-after={self.seconds}"
        return "Subscription-State", f"terminated;reason={self.reason or 'timeout'}{again}"


def read_state(text: str | None) -> SubscriptionState | None:
    """The value of a Subscription-State header; None where there is none. What is pending is active too."""
    word, *parameters = (text or "").split(";")
    word = word.strip().lower()
    if not word:
        return None
    if word != "terminated":
        return SubscriptionState(True, seconds_of(_parameter(parameters, "expires")))
    reason = _REASONS.get(_parameter(parameters, "reason").lower(), "")
    return SubscriptionState(False, seconds_of(_parameter(parameters, "retry-after")), reason)


def seconds_of(text: str | None) -> int | None:
    """Delta-seconds, drawn in to 2^31 - 1; None for what is none."""
    text = (text or "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 64:
        return None
    return min(int(text), MAX_SECONDS - 1)


def event_header(text: str) -> Headers:
    """The Event of a subscription, exactly as its subscriber wrote it (quirk: some compare the text)."""
    return (("Event", text),)


def _parameter(parameters: list[str], name: str) -> str:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""
