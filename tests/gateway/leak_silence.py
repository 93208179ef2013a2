"""The leak proof's silences: every way in which a broadcast comes to nothing."""

import asyncio
from collections.abc import Callable

from tests.gateway.leak_peers import Stage
from tests.gateway.leak_voice import PCMA, Loudspeaker, invite, loudspeaker, notice, response, within
from tests.gateway.marked import SDP, Message, sdp, tag_of


async def silences(stage: Stage) -> None:
    """Each end is told that there is nothing to hear, and nothing of the other's why."""
    await kept_targets(stage)
    await unwilling_speakers(stage)
    await unwilling_voices(stage)
    await unfit_invites(stage)
    await taken_back(stage)
    await broken(stage)
    await uninvited(stage)
    assert stage.here.gateway.orphans == 0


async def kept_targets(stage: Stage) -> None:
    for target in (stage.lower.guessed, stage.upper.mark("a speaker that nobody has")):
        assert await outcome(stage, "notice for what is kept", target) in {"403", "404", "ERROR"}


async def unwilling_speakers(stage: Stage) -> None:
    """The lower says no: by its status, by its Response, or by saying nothing."""
    lower = stage.lower
    taken = lower.answers["MESSAGE"]
    for status in (403, 486):
        where = f"notice refused with {status}"

        def declines(message: Message, status: int = status, where: str = where) -> None:
            body = lower.marks.text(f"lower: {where}, body of the refusal").encode()
            lower.answer(message, status, where, body=body, content_type="text/plain")

        lower.answers["MESSAGE"] = declines
        assert await outcome(stage, where) == "ERROR"
    lower.answers["MESSAGE"] = taken
    async with loudspeaker(stage, "a Response that says no", result="ERROR"):
        assert await outcome(stage, "notice answered ERROR") == "ERROR"
    async with loudspeaker(stage, "a notice that is ignored", answers=False):
        assert await outcome(stage, "notice that is ignored") == "ERROR"
    async with loudspeaker(stage, "a Response without INVITE"):
        await outcome(stage, "notice without INVITE")
        await asyncio.sleep(30)


async def unwilling_voices(stage: Stage) -> None:
    """The upper refuses our INVITE, or answers it with what can't be used; the lower hears a bare status."""
    upper, marks = stage.upper, stage.plot.marks_above

    def declines(code: int, where: str) -> Callable[[Message], None]:
        def answer(message: Message) -> None:
            body = marks.text(f"upper: {where}, body of the refusal").encode()
            upper.answer(message, code, where, body=body, content_type="text/plain")

        return answer

    def promises(where: str, host: str, port: int, payload: str) -> Callable[[Message], None]:
        payloads = (payload,)
        body = sdp(
            upper, where, host=host, port=port, y=1, direction="sendonly", payloads=payloads, media="audio"
        )
        return lambda message: upper.answer(message, 200, where, body=body, content_type=SDP)

    own = upper.address[0]
    strange = marks.address("upper: a foreign address of a voice")
    unknown = f"8 {marks.text('upper: rtpmap of a voice')}/8000"
    ways = {
        "486": declines(486, "voice refused with 486"),
        "603": declines(603, "voice refused with 603"),
        "302": declines(302, "voice refused with 302"),
        "a foreign address": promises("voice from a foreign address", strange, 43000, PCMA),
        "a low port": promises("voice from a low port", own, 80, PCMA),
        "another format": promises("voice in another format", own, 43000, unknown),
    }
    for name, answer in ways.items():
        upper.answers["INVITE"] = answer
        assert await refused_below(stage, f"voice, {name}") >= 400
    upper.answers["INVITE"] = promises("voice that is silent", own, 43000, PCMA)
    assert await refused_below(stage, "voice, silent") == 200
    del upper.answers["INVITE"]


async def unfit_invites(stage: Stage) -> None:
    """The lower wants the voice where it may not go, or as nobody sends it, or says nothing of that."""
    lower, marks = stage.lower, stage.plot.marks_below
    strange = marks.address("lower: a foreign address for a voice")
    unknown = (f"97 {marks.text('lower: rtpmap for a voice')}/8000",)
    own = lower.address[0]
    assert await refused_below(stage, "an INVITE for elsewhere", host=strange) == 488
    assert await refused_below(stage, "an INVITE for a low port", host=own, port=80) == 488
    assert await refused_below(stage, "an INVITE for another format", host=own, payloads=unknown) == 488


async def taken_back(stage: Stage) -> None:
    """The upper is slow to answer; the lower does not wait, once with CANCEL and once without."""
    lower, upper = stage.lower, stage.upper
    upper.answers["INVITE"] = lambda message: upper.answer(message, 100, "a voice that is slow")
    assert await refused_below(stage, "an INVITE that is never answered") == 408
    where = "an INVITE that is taken back"
    async with loudspeaker(stage, where) as (speaker, _):
        upper.send(notice(upper, lower.shown[0], f"notice of {where}"))
        await asyncio.wait_for(speaker.noticed.wait(), 10)
        invited = invite(lower, speaker, speaker.notices[0].element("SourceID"))
        lower.send(invited)
        await asyncio.sleep(1)
        asked = Message.read(invited)
        cancel = lower.request(
            "CANCEL",
            f"CANCEL of {where}",
            user=asked.start.partition("sip:")[2].partition("@")[0],
            call_id=asked.get("Call-ID"),
            from_tag=tag_of(asked.get("From")),
            cseq=int(asked.get("CSeq").split()[0]),
        )
        own = Message.read(cancel).get("Via")
        lower.send(cancel.replace(own.encode(), asked.get("Via").encode()))  # RFC 3261 9.1: the same
        answer = await lower.expect(
            lambda m: m.status >= 200 and m.method == "INVITE" and m.get("Call-ID") == asked.get("Call-ID")
        )
        assert answer is not None
        assert answer.status == 487
        await asyncio.sleep(80)  # our own, which is never answered, is given up
    del upper.answers["INVITE"]


async def broken(stage: Stage) -> None:
    """A notice and a Response that are no XML to the end."""
    lower, upper = stage.lower, stage.upper
    where = "notice with a tail"
    tail = upper.mark(f"{where}, tail").encode()
    await upper.ask(notice(upper, lower.shown[0], where, tail), seconds=2)
    await asyncio.sleep(40)

    def answer(message: Message) -> None:
        whole = response(lower, message, "Response that is cut", "OK")
        head, _, body = whole.partition(b"\r\n\r\n")
        length = f"Content-Length: {len(body)}".encode()
        cut = body.removesuffix(b"</Response>\r\n")
        lower.send(head.replace(length, f"Content-Length: {len(cut)}".encode()) + b"\r\n\r\n" + cut)

    lower.notices = answer
    await outcome(stage, "notice with a cut Response")
    lower.notices = lambda message: None


async def uninvited(stage: Stage) -> None:
    """An INVITE of the lower that no notice asked for."""
    speaker = Loudspeaker("an INVITE that nobody asked for", (stage.lower.address[0], 44000), 0x3DA7_59C3)
    answer = await stage.lower.ask(invite(stage.lower, speaker, stage.lower.us), seconds=20)
    assert answer is not None
    assert answer.status == 403


async def outcome(stage: Stage, where: str, target: str = "") -> str:
    """The status of a notice if it is not 200, else the Result of its Response ("" if none comes)."""
    upper = stage.upper
    status = await upper.ask(notice(upper, target or stage.lower.shown[0], where))
    assert status is not None, where
    if status.status != 200:
        return str(status.status)
    sn = str(upper.sn)
    answer = await upper.expect(lambda m: m.is_request and m.element("SN") == sn, seconds=60)
    await asyncio.sleep(5)
    return answer.element("Result") if answer is not None else ""


async def refused_below(
    stage: Stage, where: str, *, host: str = "", port: int = 44000, payloads: tuple[str, ...] = (PCMA,)
) -> int:
    """The status that the lower's INVITE gets; its dialog, if there is one, is left to us."""
    lower, upper = stage.lower, stage.upper
    async with loudspeaker(stage, where) as (speaker, _):
        speaker.address = (host or speaker.address[0], port)
        upper.send(notice(upper, lower.shown[0], f"notice of a {where}"))
        await asyncio.wait_for(speaker.noticed.wait(), 10)
        invited = invite(lower, speaker, speaker.notices[0].element("SourceID"), payloads)
        answer = await lower.ask(invited, seconds=45)
        assert answer is not None, where
        lower.send(within(lower, invited, answer, "ACK", f"ACK, {where}"))
        await asyncio.sleep(30 if answer.status < 300 else 5)
    return answer.status
