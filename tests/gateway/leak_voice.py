"""The leak proof's voices: both legs turned round. Those that come to nothing are in leak_silence.

The upper announces, the lower invites us, we invite the upper, and its voice flows to the lower. What
either of them writes while that happens is marked: notice, Response, both INVITEs, their answers, ACK,
BYE, and whatever RTP has besides its payload.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from sip.events import Address
from tests.gateway.apart import PREFIX
from tests.gateway.leak_peers import Lower, Stage, Upper
from tests.gateway.marked import SDP, XML, Message, rtcp, rtp, sdp, tag_of

PCMA: Final = "8 PCMA/8000"
FRAMES: Final = 12


@dataclass(slots=True)
class Microphone:
    """Where the upper's voice leaves from, once it has answered our INVITE."""

    ssrc: int
    invites: list[Message] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Loudspeaker:
    """What the lower heard, at which address, and how it came to that."""

    where: str
    address: Address
    ssrc: int
    heard: list[tuple[bytes, Address]] = field(default_factory=list)
    notices: list[Message] = field(default_factory=list)
    noticed: asyncio.Event = field(default_factory=asyncio.Event)


async def voices(stage: Stage) -> None:
    """Two voices: one that the upper ends, one that the lower ends, each with its reasons."""
    for ends in ("upper", "lower"):
        await voice(stage, ends)
        await asyncio.sleep(40)


def notice(upper: Upper, target: str, where: str, tail: bytes = b"") -> bytes:
    """Notify/Broadcast, full of markers; who speaks is one as well, for that stays on its side."""
    marks = upper.marks
    source = "".join(marks.random.choices("123456789", k=10)) + "136"
    source = marks.digits(f"upper: {where}, SourceID", 20, prefix=source)
    upper.sn = marks.number(f"upper: {where}, SN")
    inner = "".join(
        f"<{tag}>{upper.mark(f'{where}, {tag}')}</{tag}>" for tag in ("DeviceID", "Priority", "SessionID")
    )
    body = (
        f'<?xml version="1.0" encoding="{upper.mark(f"{where}, declaration")}"?>\r\n'
        f'<Notify {upper.mark(f"{where}, attribute name")}="{upper.words(f"{where}, attribute")}">'
        f"<CmdType>Broadcast</CmdType><SN>{upper.sn}</SN>"
        f'<SourceID {upper.mark(f"{where}, attribute of SourceID")}="1">{source}</SourceID>'
        f"<TargetID>{target}</TargetID>{inner}"
        f"<Info><ControlPriority>{upper.mark(f'{where}, ControlPriority')}</ControlPriority></Info>"
        f"<ExtraInfo>{upper.words(f'{where}, ExtraInfo')}</ExtraInfo>"
        f"<!-- {upper.words(f'{where}, comment')} --></Notify>\r\n"
    )
    return upper.request("MESSAGE", where, user=target, body=body.encode("gb18030") + tail, content_type=XML)


def response(lower: Lower, notice: Message, where: str, result: str) -> bytes:
    """Response/Broadcast: of somebody whom nobody knows, with a reason and much that is none of it."""
    text = (
        f"<?xml version='1.0' encoding='{lower.mark(f'{where}, encoding of the declaration')}'?>"
        f'<Response {lower.mark(f"{where}, attribute name")}="{lower.words(f"{where}, attribute")}">'
        f"<CmdType>Broadcast</CmdType><SN>{notice.element('SN')}</SN>"
        f"<DeviceID>{lower.mark(f'{where}, DeviceID')}</DeviceID><!--{lower.words(f'{where}, comment')}-->"
        f"<Result>{result}</Result><Reason>{lower.words(f'{where}, Reason')}</Reason>"
        f"<SourceID>{lower.mark(f'{where}, SourceID')}</SourceID>"
        f"<TargetID>{lower.mark(f'{where}, TargetID')}</TargetID>{lower.unknown(where)}</Response>\r\n"
    )
    return lower.message(where, text)


def invite(lower: Lower, speaker: Loudspeaker, source: str, payloads: tuple[str, ...] = (PCMA,)) -> bytes:
    """The lower's INVITE for the voice of `source`, by its name as we gave it."""
    where, marks = speaker.where, lower.marks
    size = "x".join("".join(marks.random.choices("123456789", k=5)) for _ in range(2))
    marks.known(f"lower: {where}, f=", size)
    body = sdp(
        lower,
        where,
        host=speaker.address[0],
        port=speaker.address[1],
        y=speaker.ssrc,
        direction="recvonly",
        description=f"v/2/{size}/25/1/1a/1/8/1",
        payloads=payloads,
        media="audio",
    )
    subject = (
        f"Subject: {source}:{marks.digits(f'lower: {where}, Subject y', 10)},"
        f"{lower.id}:{lower.mark(f'{where}, Subject receiver')}"
    )
    return lower.request("INVITE", where, user=source, body=body, content_type=SDP, more=[subject])


@asynccontextmanager
async def microphone(stage: Stage, where: str) -> AsyncIterator[tuple[Microphone, Callable[[bytes], None]]]:
    """Let the upper answer our next INVITE, and give what sends packets of its voice."""
    upper, marks = stage.upper, stage.plot.marks_above
    host = marks.address(f"upper: {where}, media address", PREFIX[stage.plot.above][:-1])
    held = Microphone(marks.number(f"upper: {where}, y="))
    size = "x".join("".join(marks.random.choices("123456789", k=5)) for _ in range(2))
    marks.known(f"upper: {where}, f=", size, crosses="StreamOffered.description")

    def answer(message: Message) -> None:
        held.invites.append(message)
        held.tags.append(upper.mark(f"{where}, To tag"))
        for status in (100, 180):
            upper.answer(message, status, where, to_tag=held.tags[-1])
        for status, place in ((183, f"{where}, 183"), (200, where)):
            body = sdp(
                upper,
                place,
                host=host,
                port=43000,
                y=held.ssrc,
                direction="sendonly",
                description=f"v/2/{size}/25/1/1a/1/8/1",
                payloads=(PCMA,),
                media="audio",
            )
            upper.answer(message, status, where, to_tag=held.tags[-1], body=body, content_type=SDP)
        held.answered.set()

    upper.answers["INVITE"] = answer
    port = stage.here.network.datagrams((host, 43000), lambda *_: None)
    control = stage.here.network.datagrams((host, 43001), lambda *_: None)

    def send(packet: bytes) -> None:
        to = int(held.invites[0].line("m").split()[1])
        is_rtcp = 200 <= packet[1] <= 204
        (control if is_rtcp else port).send(packet, (upper.gateway[0], to + 1 if is_rtcp else to))
        if is_rtcp:
            port.send(packet, (upper.gateway[0], to))

    try:
        yield held, send
    finally:
        port.close()
        control.close()
        del upper.answers["INVITE"]


@asynccontextmanager
async def loudspeaker(
    stage: Stage, where: str, *, result: str = "OK", answers: bool = True
) -> AsyncIterator[tuple[Loudspeaker, Callable[[bytes, Address], None]]]:
    """Let the lower answer the next notice, and give what sends packets back from where it listens."""
    lower, marks = stage.lower, stage.plot.marks_below
    host = marks.address(f"lower: {where}, media address", PREFIX[stage.plot.below][:-1])
    held = Loudspeaker(where, (host, 44000), marks.number(f"lower: {where}, y="))

    def noticed(message: Message) -> None:
        held.notices.append(message)
        if answers:
            lower.send(response(lower, message, f"{where}, Response", result))
        held.noticed.set()

    port = stage.here.network.datagrams(held.address, lambda data, source: held.heard.append((data, source)))
    control = stage.here.network.datagrams((host, 44001), lambda *_: None)
    lower.notices = noticed
    try:
        yield held, port.send
    finally:
        lower.notices = lambda message: None
        port.close()
        control.close()


async def voice(stage: Stage, ends: str) -> None:
    """From the notice to the last BYE, with everything in between."""
    lower, upper, camera = stage.lower, stage.upper, stage.lower.shown[0]
    where = f"voice, ended by the {ends}"
    upper.heard.clear()
    lower.heard.clear()
    async with (
        microphone(stage, where) as (spoken, send),
        loudspeaker(stage, where) as (speaker, send_back),
    ):
        status = await upper.ask(notice(upper, camera, f"notice of a {where}"))
        assert status is not None
        assert status.status == 200, status.start
        await asyncio.wait_for(speaker.noticed.wait(), 10)
        (noticed,) = speaker.notices
        assert noticed.element("TargetID") == camera
        source = noticed.element("SourceID")
        assert source == lower.us  # whose voice it is stays on its side
        invited = invite(lower, speaker, source)
        answer = await lower.ask(invited, seconds=20)
        assert answer is not None
        assert answer.status == 200, answer.start
        agreed = await upper.expect(lambda m: m.is_request and m.element("Result") != "", seconds=10)
        assert agreed is not None
        assert (agreed.element("SN"), agreed.element("Result")) == (str(upper.sn), "OK")
        acknowledge = within(lower, invited, answer, "ACK", f"ACK, {where}")
        lower.send(acknowledge)
        await asyncio.sleep(0.1)
        await speak(stage, spoken, speaker, send)
        await talk_back(stage, spoken, speaker, send, send_back)
        await chatter(stage, spoken, invited, answer, where)
        if ends == "lower":
            bye = within(lower, invited, answer, "BYE", f"BYE, {where}", later=9)
            done = await lower.ask(bye)
        else:
            done = await upper.ask(of_ours(upper, spoken, "BYE", f"BYE, {where}"))
        assert done is not None
        assert done.status == 200, done.start
        await asyncio.sleep(5)
    assert stage.here.gateway.orphans == 0


async def speak(
    stage: Stage, spoken: Microphone, speaker: Loudspeaker, send: Callable[[bytes], None]
) -> None:
    """The voice, every second packet dressed; the lower hears the payload and nothing else of it."""
    marks, where = stage.plot.marks_above, speaker.where
    frames = []
    for at in range(FRAMES):
        frames.append(marks.raw(f"upper: {where}, payload {at}", 24))
        marks.planted[-1] = replace(marks.planted[-1], crosses="payload of RTP")
        packet = rtp(
            marks,
            f"upper: {where}, RTP {at}",
            ssrc=spoken.ssrc,
            sequence=9000 + at,
            timestamp=16_000 + at * 160,
            payload=frames[-1],
            payload_type=8,
            dressed=at % 2 == 1,
        )
        send(packet)
        await asyncio.sleep(0.02)
    send(rtcp(marks, f"upper: {where}, RTCP", spoken.ssrc))
    foreign = marks.number(f"upper: {where}, foreign SSRC")
    payload = marks.raw(f"upper: {where}, payload of a foreign SSRC", 24)
    send(rtp(marks, where, ssrc=foreign, sequence=1, timestamp=1, payload=payload, payload_type=8))
    await asyncio.sleep(0.5)
    assert [data[12:] for data, _ in speaker.heard] == frames  # rebuilt: our header, their payload
    assert {data[8:12] for data, _ in speaker.heard} == {speaker.ssrc.to_bytes(4, "big")}
    assert {data[0] for data, _ in speaker.heard} == {0x80}
    assert {data[1] & 0x7F for data, _ in speaker.heard} == {8}
    assert int.from_bytes(speaker.heard[0][0][2:4], "big") != 9000


async def talk_back(
    stage: Stage,
    spoken: Microphone,
    speaker: Loudspeaker,
    send: Callable[[bytes], None],
    send_back: Callable[[bytes, Address], None],
) -> None:
    """What a listener sends although it only listens: RTCP, a voice of its own, noise."""
    marks, where = stage.plot.marks_below, speaker.where
    ours = speaker.heard[0][1]
    send_back(rtcp(marks, f"lower: {where}, RTCP", speaker.ssrc), ours)
    send_back(rtcp(marks, f"lower: {where}, RTCP to the next port", speaker.ssrc), (ours[0], ours[1] + 1))
    payload = marks.raw(f"lower: {where}, payload back", 24)
    back = rtp(
        marks,
        f"lower: {where}, RTP back",
        ssrc=speaker.ssrc,
        sequence=1,
        timestamp=1,
        payload=payload,
        payload_type=8,
    )
    send_back(back, ours)
    send_back(marks.raw(f"lower: {where}, noise", 40), ours)
    send(rtcp(stage.plot.marks_above, f"upper: {where}, RTCP again", spoken.ssrc))
    await asyncio.sleep(0.5)


async def chatter(stage: Stage, spoken: Microphone, invited: bytes, answer: Message, where: str) -> None:
    """Requests within both dialogs that change nothing."""
    lower, upper = stage.lower, stage.upper
    for at, method in enumerate(("INFO", "MESSAGE", "UPDATE", "INVITE"), start=1):
        place = f"{method} in the dialog, {where}"
        body = lower.marks.text(f"lower: {place}, body").encode()
        more = within(lower, invited, answer, method, place, later=at, body=body)
        await lower.ask(more, seconds=2)
        body = upper.marks.text(f"upper: {place}, body").encode()
        await upper.ask(of_ours(upper, spoken, method, place, body), seconds=2)


def within(
    lower: Lower,
    invited: bytes,
    answer: Message,
    method: str,
    where: str,
    *,
    later: int = 0,
    body: bytes = b"",
) -> bytes:
    """A request in the dialog that the lower's INVITE made; its CSeq is `later` than that one's."""
    asked = Message.read(invited)
    return lower.request(
        method,
        where,
        user=asked.start.partition("sip:")[2].partition("@")[0],
        call_id=asked.get("Call-ID"),
        from_tag=tag_of(asked.get("From")),
        to_tag=tag_of(answer.get("To")),
        cseq=int(asked.get("CSeq").split()[0]) + later,
        body=body,
        content_type="Application/MANSRTSP" if body else "",
    )


def of_ours(upper: Upper, spoken: Microphone, method: str, where: str, body: bytes = b"") -> bytes:
    """A request of the upper in the dialog that our INVITE made."""
    ours = spoken.invites[0]
    return upper.request(
        method,
        where,
        call_id=ours.get("Call-ID"),
        from_tag=spoken.tags[0],
        to_tag=tag_of(ours.get("From")),
        body=body,
        content_type="Application/MANSRTSP" if body else "",
    )
