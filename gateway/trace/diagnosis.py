"""Where did it die? One sentence about a story, from the first thing that went wrong in it.

Pure: a story in, a `Saying` out. The order of the questions is the order of the way: the rule, the INVITE
below, its answer, its ACK, media, the answer above and its ACK.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.trace import diagnosis_leg
from gateway.trace.facts import Aimed, Awaited, Began, Crossed, Noted, Silent
from gateway.trace.reading import Read
from gateway.trace.story import OTHER, Story, totals
from gateway.words import Saying, saying
from gateway.words.sentences import recognised
from sip.uri import host_port

WAITING_SECONDS: Final = 2.0
"""So long after its last sign a story may still go on."""

REPEATED: Final = 3
"""Copies of one 200 that say that its ACK does not arrive; fewer may be loss."""

NOT_FOUND: Final = 404

FAILURES: Final = {
    "not-found": saying("failure.not_found"),
    "offline": saying("failure.offline"),
    "busy": saying("failure.busy"),
    "unacceptable": saying("failure.unacceptable"),
    "refused": saying("failure.refused"),
    "unavailable": saying("failure.unavailable"),
    "timeout": saying("failure.timeout"),
    "no-media": saying("failure.no_media"),
    "failed": saying("failure.failed"),
}
"""`cascade.crossing.Failure` for people."""


def diagnose(story: Story) -> Saying:
    """What became of it, and if it died, where."""
    if story.kind == "talk":
        return _of_talk(story)
    if story.held is not None:
        return _held(story, story.held)
    return (
        _refused(story)
        or _parted(story)
        or (_of_question(story) if story.kind == "question" else None)
        or _below(story)
        or _media(story)
        or diagnosis_leg.diagnose(story)
        or _above(story)
        or _end(story)
    )


def _held(story: Story, held: Noted) -> Saying:
    """Another turns the camera."""
    details = held.details
    until = held.at + float(details.get("seconds", "0"))
    return saying(
        "trace.ptz_held",
        peer=held.peer,
        level=details.get("level", "-"),
        channel=_name(story.channel),
        other=details.get("other", "-"),
        other_level=details.get("other_level", "-"),
        until=datetime.fromtimestamp(until).astimezone().strftime("%H:%M:%S"),
    )


def _refused(story: Story) -> Saying | None:
    """A door said no."""
    no = next((it for it in story.crossings if not it.passed and it.kind not in {"StreamEnded"}), None)
    if no is None:
        return None
    side = _side(no.side)
    what = saying("trace.wish", action=no.action, origin=no.origin, channel=_name(story.channel))
    match no.rule:
        case "default":
            return saying("trace.refused_default", side=side, what=what)
        case "audit" | "audit-beyond":
            return saying("trace.refused_audit", side=side)
        case "link":
            return saying("trace.refused_link", side=side)
        case _:
            return saying("trace.refused", rule=no.rule, side=side, what=what)


def _parted(story: Story) -> Saying | None:
    """The other side was lost before it was over. A control that was carried out by then asks no more."""
    if story.parted is None or _is_notice(story):
        return None
    began = min((it.at for it in story.media if isinstance(it, Began)), default=None)
    if began is None:
        return saying("trace.lost_link")
    *_, flow = diagnosis_leg.flow(story)
    return saying("trace.ended_link", seconds=f"{story.parted.at - began:.1f}", flow=flow)


def _is_notice(story: Story) -> bool:
    return story.kind == "question" and not any(it.kind == "Ask" for it in story.crossings)


def _of_question(story: Story) -> Saying:
    answer = next((it for it in story.crossings if it.kind == "Answer"), None)
    if answer is not None:
        after = answer.at - story.begins
        return saying("trace.answered", action=story.asked_for, seconds=f"{after:.3f}")
    asked = next((one for one in story.below if one.status == 0), None)
    if asked is None and not _knows_below(story):
        return saying("trace.beyond", failure=_failure(story), correlation=story.correlation or 0)
    if asked is None:
        return saying(
            "trace.question_not_asked", action=story.asked_for, failure=_failure(story), place=_place(story)
        )
    final = _final(story.below)
    if final is None:
        return _unanswered(story, asked)
    if final.status >= 300:
        return _refused_below(story, final)
    if _is_notice(story):
        return saying("trace.carried_out", action=story.asked_for, peer=_peer(final))
    if story.now - asked.fact.at < WAITING_SECONDS:
        return saying("trace.waiting_for_answer", peer=_peer(final))
    return saying("trace.no_business_answer", peer=_peer(final), command=asked.command)


def _below(story: Story) -> Saying | None:
    """The INVITE to the source and its answer."""
    invite = next((one for one in story.below if one.method == "INVITE" and one.status == 0), None)
    if story.kind == "call" and not story.below:
        return _answered_here(story)
    if invite is None:
        return _not_asked(story)
    final = _final(story.below)
    if final is None:
        cancelled = next((one for one in story.above if one.method == "CANCEL"), None)
        if cancelled is not None:
            waited = cancelled.fact.at - story.begins
            return saying("trace.cancelled", seconds=f"{waited:.1f}", peer=_peer(invite), place=_place(story))
        return _unanswered(story, invite)
    if final.status >= 300:
        return _refused_below(story, final)
    ack = next((one for one in story.below if one.method == "ACK"), None)
    copies = sum(one.same == final.same for one in story.below)
    if ack is None:
        return saying("trace.no_ack_sent", place=_place(story), peer=_peer(final), why=_failure(story))
    if copies >= REPEATED:
        target = f"{ack.fact.peer[0]}:{ack.fact.peer[1]}"
        contact = final.contact or "-"
        return saying(
            "trace.ack_below",
            place=_place(story),
            peer=_peer(final),
            copies=copies,
            target=target,
            contact=contact,
        )
    return None


def _not_asked(story: Story) -> Saying | None:
    """There is no INVITE below: an older stream is shared, or nothing could be asked."""
    if any(it.kind == "StreamOffered" for it in story.crossings):
        return None
    ended = next((it for it in story.crossings if it.kind == "StreamEnded"), None)
    if not _knows_below(story):
        if ended is None:
            return saying("trace.waiting_beyond", correlation=story.correlation or 0)
        return saying("trace.beyond", failure=_failure(story), correlation=story.correlation or 0)
    if ended is not None:
        failure = _failure(story)
        rule = str(ended.details.get("rule") or "")
        if rule:
            side = _side("inner" if story.asking == "outer" else "outer")
            return saying("trace.refused_beyond", rule=rule, side=side)
        return saying("trace.not_asked", place=_place(story), failure=failure)
    if story.kind == "call":
        return _answered_here(story)
    return saying("trace.nothing_below", place=_place(story))


def _answered_here(story: Story) -> Saying:
    """An INVITE that we answered ourselves, without asking anybody."""
    final = _final(story.above)
    if final is None:
        return saying("trace.call_open")
    if final.status < 300:
        return saying("trace.call_older")
    status = f"{final.status} {final.reason}"
    if final.status == NOT_FOUND:
        return saying("trace.not_shown", channel=story.channel, peer=story.origin, status=status)
    return saying("trace.answered_here", status=status, why=final.why or "-", channel=story.channel)


def _media(story: Story) -> Saying | None:
    """RTP of the source."""
    own = [fact for fact in story.media if not fact.leg]
    awaited = next((it for it in own if isinstance(it, Awaited)), None)
    if awaited is None:
        return None
    began = next((it for it in own if isinstance(it, Began)), None)
    silent = next((it for it in reversed(own) if isinstance(it, Silent)), None)
    count = totals(story.media)
    if began is not None:
        if silent is None:
            return None
        packets = 0 if count is None else count.admitted
        played = f"{silent.at - began.at:.0f}"
        return saying(
            "trace.media_stopped", packets=packets, seconds=played, lost=0 if count is None else count.lost
        )
    waited = f"{(silent.at if silent else story.now) - awaited.at:.0f}"
    refused = {} if count is None else count.refused
    if count is not None and refused:
        worst = max(refused, key=lambda reason: refused[reason])
        if worst == "foreign_ssrc":
            return saying(
                "trace.other_ssrc",
                agreed=_number(awaited.ssrc),
                came=_number(count.foreign_ssrc),
                packets=refused[worst],
            )
        if worst == "foreign_source":
            sources = ", ".join(awaited.sources)
            return saying("trace.other_source", sources=sources, packets=refused[worst])
        return saying("trace.other_media", kind=worst, packets=refused[worst])
    port = next((it for it in story.media if getattr(it, "port", 0) and not getattr(it, "viewer", "")), None)
    place = f"{getattr(port, 'host', '')}:{getattr(port, 'port', '')}"
    if silent is None and story.now - awaited.at < WAITING_SECONDS:
        return saying("trace.waiting_for_media", place=place)
    return saying("trace.no_rtp", seconds=waited, place=place, sources=", ".join(awaited.sources))


def _above(story: Story) -> Saying | None:
    """Our answer to who asked, and its ACK."""
    final = _final(story.above)
    if final is None or final.status >= 300 or not final.fact.sent:
        return None
    if any(one.method == "ACK" for one in story.above):
        return None
    copies = sum(one.same == final.same for one in story.above)
    if copies < REPEATED and story.now - final.fact.at < WAITING_SECONDS:
        return saying("trace.waiting_for_ack", peer=_peer(final))
    contact = final.contact or "-"
    return saying("trace.ack_above", peer=_peer(final), copies=copies, contact=contact)


def _end(story: Story) -> Saying:
    """Nothing went wrong that we know of."""
    began = min((it.at for it in story.media if isinstance(it, Began)), default=None)
    packets, left, unsent, flow = diagnosis_leg.flow(story)
    ended = next((it for it in story.crossings if it.kind == "StreamEnded"), None)
    if unsent:
        return saying("trace.unsent", unsent=unsent, flow=flow)
    if ended is not None and began is None:
        return saying("trace.ended_early", failure=_failure(story))
    if began is not None and not left and not any(isinstance(it, Aimed) for it in story.media):
        return saying("trace.nobody_aimed", packets=packets)
    if ended is not None:
        hung_up = next(
            (one for one in (*story.above, *story.below) if one.method == "BYE" and not one.status), None
        )
        who = saying("trace.us") if hung_up is None or hung_up.fact.sent else _peer_said(hung_up)
        return saying("trace.ended", who=who, seconds=f"{ended.at - (began or ended.at):.1f}", flow=flow)
    if began is None:
        return saying("trace.no_media_known")
    setup = f"{1000 * (began - story.begins):.0f}"
    return saying("trace.playing", setup=setup, flow=flow)


def _of_talk(story: Story) -> Saying:
    """Registration and life signs of a peer, by the newest of them."""
    registers = [one for one in story.below if one.method == "REGISTER"]
    answers = [one for one in registers if one.status >= 200]
    if registers and not answers:
        first = registers[-1]
        return saying("trace.register_unanswered", peer=_peer(first), count=len(registers))
    if answers:
        last = answers[-1]
        proven = [one for one in registers if one.status == 0 and one.cseq == last.cseq]
        peer = _peer(proven[-1] if proven else last)
        if last.status == 401:
            return saying("trace.register_challenged", peer=peer)
        if last.status >= 300:
            return saying(
                "trace.register_refused",
                peer=peer,
                status=f"{last.status} {last.reason}",
                why=last.why or "-",
            )
        newest = story.below[-1]
        return saying("trace.registered", peer=peer, ago=f"{story.now - newest.fact.at:.0f}")
    if not story.below:
        return saying("trace.nothing_known")
    asked = [one for one in story.below if not one.status and one.method]
    answered = {one.thread for one in story.below if one.status >= 200}
    silent = [one for one in asked if one.thread not in answered]
    if silent and story.now - silent[-1].fact.at > WAITING_SECONDS:
        return saying("trace.unanswered", method=silent[-1].method, peer=_peer(silent[-1]), count=len(silent))
    return saying("trace.last_heard", ago=f"{story.now - story.below[-1].fact.at:.0f}")


def _unanswered(story: Story, request: Read) -> Saying:
    """No final answer below: nothing at all, or no more than a provisional one."""
    thread, now, place = story.below, story.now, _place(story)
    last = max((one.fact.at for one in thread if one.fact.sent), default=request.fact.at)
    waited = max(now, last) - request.fact.at
    provisional = next((one for one in reversed(thread) if 100 <= one.status < 200), None)
    if waited < WAITING_SECONDS:
        return saying("trace.waiting_below", place=place, peer=_peer(request), method=request.method)
    if provisional is not None:
        status = f"{provisional.status} {provisional.reason}"
        return saying("trace.no_200_below", place=place, peer=_peer(request), status=status)
    copies = sum(one.same == request.same for one in thread)
    return saying(
        "trace.no_answer_below", place=place, peer=_peer(request), method=request.method, copies=copies
    )


def _refused_below(story: Story, final: Read) -> Saying:
    status = f"{final.status} {final.reason}"
    if final.fact.sent:
        return saying("trace.answered_here", status=status, why=final.why or "-", channel=final.to_user)
    return saying(
        "trace.refused_below", place=_place(story), peer=_peer(final), status=status, why=final.why or "-"
    )


def _final(thread: Sequence[Read]) -> Read | None:
    """The first final answer to what began the thread."""
    method = thread[0].method if thread else ""
    return next((one for one in thread if one.status >= 200 and one.method == method), None)


def _knows_below(story: Story) -> bool:
    """Was the side of who is asked among those that answered? Of two hosts each knows its own."""
    return story.asking is None or OTHER[story.asking] in story.sides


def _failure(story: Story) -> Saying | str:
    for fact in story.crossings:
        if fact.kind in {"StreamEnded", "NoAnswer"} and (why := why_of(fact)):
            return why
    return "-"


def why_of(fact: Crossed) -> Saying | str:
    """Why it ended, as far as the crossing says it; "" where it does not."""
    said = str(fact.details.get("reason") or "")
    if said:
        return recognised(said)
    failure = str(fact.details.get("failure") or "")
    return FAILURES.get(failure, failure)


def _place(story: Story) -> Saying:
    """Where the asked are: a picture comes from below, a voice from above."""
    return saying("trace.over") if story.asking == "outer" else saying("trace.under")


def _side(side: str) -> Saying:
    return saying("side.outer") if side == "outer" else saying("side.inner")


def _name(channel: str) -> str:
    return channel.rpartition("/")[2]


def _peer(one: Read) -> str:
    host, port = one.fact.peer
    return host_port(host, port)


def _peer_said(one: Read) -> Saying:
    return saying("trace.peer", peer=_peer(one), side=_side(one.fact.side))


def _number(ssrc: int | None) -> str:
    return "-" if ssrc is None else f"{ssrc:010d}"
