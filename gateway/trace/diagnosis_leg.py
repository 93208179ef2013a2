"""What a story says of the leg between two hosts, and of how much flowed over all of its legs.

On one host alone half of it is known: what came over the leg, or what left for it.
"""

from typing import Final

from gateway.trace.facts import Awaited, Began, Sent, Silent
from gateway.trace.story import Story, lost_on_leg, totals
from gateway.words import Saying, saying

ARRIVES_SECONDS: Final = 2.0
"""So long after the leg was opened its first packet may be on its way."""


def diagnose(story: Story) -> Saying | None:
    """RTP that came to the one host, and not to the other."""
    leg = [fact for fact in story.media if fact.leg]
    taken = next((it for it in leg if isinstance(it, Awaited)), None)
    if taken is None:
        return None
    taker = saying("side.outer") if taken.side == "outer" else saying("side.inner")
    began = next((it for it in leg if isinstance(it, Began)), None)
    silent = next((it for it in reversed(leg) if isinstance(it, Silent)), None)
    if began is not None:
        if silent is None:
            return None
        count = totals(leg)
        return saying("trace.leg_stopped", side=taker, packets=0 if count is None else count.admitted)
    ended = next((it.at for it in story.crossings if it.kind == "StreamEnded"), story.now)
    waited = (silent.at if silent is not None else ended) - taken.at
    if waited < ARRIVES_SECONDS:
        return None
    seconds = f"{waited:.0f}"
    if not any(isinstance(it, Awaited) and not it.leg for it in story.media):
        return saying("trace.leg_silent_half", seconds=seconds, correlation=story.correlation or 0)
    sent = next((it.packets for it in reversed(leg) if isinstance(it, Sent)), 0)
    if not sent:
        return saying("trace.leg_unsent", seconds=seconds)
    return saying("trace.leg_silent", seconds=seconds, sent=sent, side=taker)


def flow(story: Story) -> tuple[int, int, int, Saying]:
    """Packets that came, that left and that the system did not take; and all of it in words."""
    count = totals(story.media)
    packets, lost = (0, 0) if count is None else (count.admitted, count.lost)
    percent = f"{100 * lost / (packets + lost):.1f}" if packets + lost else "0"
    sent = [it for it in story.media if isinstance(it, Sent)]
    to_viewer = next((it for it in reversed(sent) if not it.leg), None)
    over_leg = next((it for it in reversed(sent) if it.leg), None)
    last = to_viewer or over_leg
    left, unsent = (0, 0) if last is None else (last.packets, last.unsent)
    came = saying("trace.flow_came", packets=packets, lost=lost, percent=percent)
    if to_viewer is None and over_leg is not None:
        return packets, left, unsent, saying("trace.flow_half", came=came, sent=left)
    if over_leg is not None and (missed := lost_on_leg(story.media)) is not None:
        said = saying("trace.flow_over", came=came, crossed=over_leg.packets, missed=missed, sent=left)
        return packets, left, unsent, said
    if count is not None and count.leg:
        return packets, left, unsent, saying("trace.flow_behind", packets=packets, lost=lost, sent=left)
    return packets, left, unsent, saying("trace.flow", came=came, sent=left)
