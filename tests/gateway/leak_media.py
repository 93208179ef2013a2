"""The leak proof's pictures: viewings that either end leaves, and every way in which one comes to nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.gateway.apart import PREFIX
from tests.gateway.leak_peers import Stage
from tests.gateway.marked import PACK, SDP, Message, rtcp, rtp, sdp, tag_of
from tests.gateway.markers import Marker


@asynccontextmanager
async def camera_sends(
    stage: Stage, where: str, *, y: int | None, description: str = ""
) -> AsyncIterator[Callable[[bytes], None]]:
    """Let the lower answer its next INVITE, and give what sends packets of that camera."""
    lower, marks = stage.lower, stage.plot.marks_below
    host = marks.address(f"lower: {where}, media address", PREFIX[stage.plot.below][:-1])
    received: list[Message] = []

    def answer(message: Message) -> None:
        received.append(message)
        tag = lower.mark(f"{where}, To tag")
        for status in (100, 180):
            lower.answer(message, status, where, to_tag=tag)
        early = sdp(lower, f"{where}, 183", host=host, port=41000, y=y, direction="sendonly")
        lower.answer(message, 183, where, to_tag=tag, body=early, content_type=SDP)
        body = sdp(lower, where, host=host, port=41000, y=y, direction="sendonly", description=description)
        lower.answer(message, 200, where, to_tag=tag, body=body, content_type=SDP)

    lower.answers["INVITE"] = answer
    port = stage.here.network.datagrams((host, 41000), lambda *_: None)
    control = stage.here.network.datagrams((host, 41001), lambda *_: None)

    def send(packet: bytes) -> None:
        to = int(received[0].line("m").split()[1])
        is_rtcp = 200 <= packet[1] <= 204
        (control if is_rtcp else port).send(packet, (lower.gateway[0], to + 1 if is_rtcp else to))
        if is_rtcp:
            port.send(packet, (lower.gateway[0], to))

    try:
        yield send
    finally:
        port.close()
        control.close()
        del lower.answers["INVITE"]


async def pictures(stage: Stage) -> None:
    """Two plays: one that the upper ends, one that the lower ends, each with its reasons."""
    for ends in ("upper", "lower"):
        await picture(stage, ends)
        await asyncio.sleep(40)


async def picture(stage: Stage, ends: str) -> None:
    lower, upper, plot = stage.lower, stage.upper, stage.plot
    below, above = plot.marks_below, plot.marks_above
    where = f"INVITE, ended by the {ends}"
    lower.heard.clear()
    wanted, given = above.number(f"upper: {where}, y="), below.number(f"lower: {where}, y=")
    size = "x".join("".join(below.random.choices("123456789", k=5)) for _ in range(2))
    below.known(f"lower: {where}, f=", size, crosses="StreamOffered.description")
    description = f"v/2/{size}/25/1/4000a///"
    theirs = "".join(above.random.choices("123456789", k=5))
    above.known(f"upper: {where}, f=", f"{theirs}x{theirs}")
    host = above.address(f"upper: {where}, media address", PREFIX[plot.above][:-1])
    screen: list[tuple[bytes, tuple[str, int]]] = []
    port = stage.here.network.datagrams((host, 42000), lambda data, source: screen.append((data, source)))
    async with camera_sends(stage, where, y=given, description=description) as send:
        invite = upper.invite(
            lower.shown[0],
            where,
            host=host,
            port=42000,
            y=wanted,
            description=f"v/2/{theirs}x{theirs}/25/1/1a///",
        )
        answer = await upper.ask(invite, seconds=10)
        assert answer is not None
        assert answer.status == 200, answer.start
        assert answer.line("f") == description
        upper.send(upper.within(invite, answer, "ACK", f"ACK, {where}"))
        await asyncio.sleep(0.1)
        pictures = []
        for at in range(12):
            picture = below.raw(f"lower: {where}, payload {at}", 24)
            below.planted[-1] = crossing_of(below.planted[-1], "payload of RTP")
            pictures.append(PACK + picture)
            packet = rtp(
                below,
                f"lower: {where}, RTP {at}",
                ssrc=given,
                sequence=7000 + at,
                timestamp=90_000 + at * 3600,
                payload=pictures[-1],
                dressed=at % 2 == 1,
            )
            send(packet)
            await asyncio.sleep(0.04)
        send(rtcp(below, f"lower: {where}, RTCP", given))
        send(
            rtp(
                below,
                f"lower: {where}, foreign SSRC",
                ssrc=below.number(f"{where}, foreign SSRC"),
                sequence=1,
                timestamp=1,
                payload=below.raw(f"{where}, payload of a foreign SSRC", 24),
            )
        )
        await asyncio.sleep(0.5)
        assert [data[12:] for data, _ in screen] == pictures  # rebuilt: our header, their payload
        assert {data[8:12] for data, _ in screen} == {wanted.to_bytes(4, "big")}
        assert {data[0] for data, _ in screen} == {0x80}
        assert int.from_bytes(screen[0][0][2:4], "big") != 7000
        ours = screen[0][1]
        port.send(rtcp(above, f"upper: {where}, RTCP", wanted), ours)
        port.send(rtcp(above, f"upper: {where}, RTCP to the next port", wanted), (ours[0], ours[1] + 1))
        port.send(
            rtp(
                above,
                f"upper: {where}, RTP back",
                ssrc=wanted,
                sequence=1,
                timestamp=1,
                payload=above.raw(f"upper: {where}, payload back", 24),
            ),
            ours,
        )
        port.send(above.raw(f"upper: {where}, noise", 40), ours)
        number = int(Message.read(invite).get("CSeq").split()[0])
        for at, method in enumerate(("INFO", "MESSAGE", "UPDATE", "INVITE"), start=1):
            text = above.text(f"upper: {method} in the dialog, body").encode()
            await upper.ask(
                upper.within(
                    invite,
                    answer,
                    method,
                    f"{method} in the dialog, {where}",
                    cseq=number + at,
                    body=text,
                    content_type="Application/MANSRTSP",
                ),
                seconds=2,
            )
        if ends == "upper":
            done = await upper.ask(upper.within(invite, answer, "BYE", f"BYE, {where}", cseq=number + 9))
        else:
            taken = await lower.expect(lambda m: m.is_request and m.method == "ACK")
            assert taken is not None
            bye = lower.request(
                "BYE",
                f"BYE, {where}",
                call_id=taken.get("Call-ID"),
                from_tag=tag_of(taken.get("To")),
                to_tag=tag_of(taken.get("From")),
            )
            done = await lower.ask(bye)
        assert done is not None
        assert done.status == 200
        await asyncio.sleep(5)
    port.close()
    assert stage.here.gateway.orphans == 0


def crossing_of(marker: Marker, crosses: str) -> Marker:
    return Marker(marker.place, marker.value, marker.forms, crosses)


async def refusals(stage: Stage) -> None:
    """Every way in which a viewing comes to nothing; the viewer hears a bare status."""
    lower, upper, plot = stage.lower, stage.upper, stage.plot
    below, above = plot.marks_below, plot.marks_above
    host = above.address("upper: refusals, media address", PREFIX[plot.above][:-1])

    async def status(
        where: str,
        channel: str = "",
        *,
        host: str = host,
        session: str = "Play",
        payloads: tuple[str, ...] = ("96 PS/90000",),
    ) -> int:
        number = above.number(f"upper: {where}, y=")
        shown = channel or lower.shown[0]
        invite = upper.invite(
            shown, where, host=host, port=42000, y=number, session=session, payloads=payloads
        )
        answer = await upper.ask(invite, seconds=45)
        assert answer is not None, where
        if answer.status < 300:
            upper.send(upper.within(invite, answer, "ACK", f"ACK, {where}"))
            await asyncio.sleep(30)  # no picture comes: we end it
        else:
            upper.send(upper.within(invite, answer, "ACK", f"ACK, {where}"))
        await asyncio.sleep(5)
        return answer.status

    for channel in (lower.guessed, upper.mark("a channel that nobody has")):
        assert await status("INVITE for what is kept", channel) == 404
    assert await status("a foreign address", host=above.address("upper: a foreign address in c=")) == 488
    assert await status("another session", session=above.text("upper: s=")) == 488
    assert await status("other payloads", payloads=(f"96 {above.text('upper: rtpmap')}/90000",)) == 488

    def declines(code: int, where: str) -> Callable[[Message], None]:
        def answer(message: Message) -> None:
            body = below.text(f"lower: {where}, body of the refusal").encode()
            lower.answer(message, code, where, body=body, content_type="text/plain")

        return answer

    for code, seen in ((486, 486), (404, 404), (488, 488), (500, 500), (603, 403), (302, 500)):
        lower.answers["INVITE"] = declines(code, f"refusal {code}")
        assert await status(f"INVITE refused with {code}") == seen

    def promises(body: bytes, where: str) -> Callable[[Message], None]:
        return lambda message: lower.answer(message, 200, where, body=body, content_type=SDP)

    def promise(where: str, host: str = lower.address[0], port: int = 41000, encoding: str = "PS") -> bytes:
        payloads = (f"96 {encoding}/90000",)
        return sdp(lower, where, host=host, port=port, y=1, direction="sendonly", payloads=payloads)

    strange = {
        "foreign address": promise("foreign address", below.address("lower: a foreign address in c=")),
        "host name": promise("host name", lower.host("a name in c=")),
        "unknown format": promise("unknown format", encoding=below.text("lower: rtpmap")),
        "low port": promise("low port", port=80),
        "no SDP": below.text("lower: no SDP at all").encode(),
    }
    for where, body in strange.items():
        lower.answers["INVITE"] = promises(body, where)
        assert await status(f"INVITE answered with {where}") == 488
    lower.answers["INVITE"] = promises(promise("no picture"), "no picture")
    assert await status("INVITE without a picture") == 200
    lower.answers["INVITE"] = lambda message: lower.answer(message, 100, "silence")
    assert await status("INVITE without an answer") == 408
    del lower.answers["INVITE"]
    await asyncio.sleep(80)  # a cancelled INVITE that is never answered is given up
    assert stage.here.gateway.orphans == 0
