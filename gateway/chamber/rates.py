"""What a stream counts in a quota of bandwidth: by what is said of it, until more is measured."""

from cascade.crossing import StreamOffered, StreamOpen
from cascade.model.rates import VOICE, declared
from gateway.chamber.rules import Quota


def said(offered: StreamOffered) -> int:
    """Bits a second that its source declares, or that a voice has; 0 where nothing is said."""
    voice = VOICE if offered.encoding.startswith("PCM") else 0
    return declared(offered.description) or voice


def wanted(stream: StreamOpen | StreamOffered, quota: Quota) -> int:
    """Bits a second that it counts from here on."""
    known = said(stream) if isinstance(stream, StreamOffered) else 0
    return known or quota.stream_bits_per_second


def megabits(bits: int) -> str:
    """For a person, in Mbit/s."""
    return f"{bits / 1e6:.3f}".rstrip("0").rstrip(".")
