"""What is played in the leak proof: registration, catalog, questions, media, and all that goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from cascade.ports import Store
from tests.gateway.apart import PREFIX, Apart, apart
from tests.gateway.leak_media import pictures, refusals
from tests.gateway.leak_peers import Lower, Stage, Upper
from tests.gateway.leak_plot import Plot
from tests.gateway.leak_silence import silences
from tests.gateway.leak_voice import voices
from tests.gateway.marked import XML, Peer
from tests.gateway.world import Link


async def play(stage: Stage) -> None:
    await registration(stage)
    await catalog(stage)
    await questions(stage)
    await commands_that_cross(stage)
    await alarms(stage)
    await pictures(stage)
    await refusals(stage)
    await voices(stage)
    await silences(stage)
    await trash(stage)
    await changes(stage)
    await away(stage)


async def registration(stage: Stage) -> None:
    lower, plot = stage.lower, stage.plot
    marks = plot.marks_below
    shared = [
        plot.id(marks, "a shared camera", 132, crosses="CatalogBatch.rows.id"),
        marks.text("a shared camera without 20 digits", crosses="ChannelId.name"),
    ]
    lower.guessed = plot.id(marks, "a kept camera that the upper guesses", 132, crosses="guessed")
    kept = [
        plot.id(marks, "a kept camera", 132),
        marks.text("a kept camera without 20 digits"),
        lower.guessed,
        plot.id(marks, "a kept camera that goes", 132),
    ]
    lower.shown, lower.kept = shared, kept
    lower.catalog = lambda: first_catalog(lower)
    await asyncio.wait_for(stage.upper.registered.wait(), 30)
    await lower.register("REGISTER")
    lower.alive = True


def first_catalog(lower: Lower) -> list[str]:
    plot = lower.plot
    return [
        lower.named(lower.id, "", shared=True),
        lower.named(plot.group, lower.id, shared=True),
        lower.named(plot.shared_branch, plot.group, shared=True),
        lower.named(plot.kept_branch, plot.group, shared=False),
        *(lower.item(id, shared=True) for id in lower.shown),
        *(lower.item(id, shared=False) for id in (*lower.kept, plot.single) if id),
        *([lower.named(plot.within, plot.kept_branch, shared=False)] if plot.within else []),
        *([lower.named(plot.deep, plot.within, shared=True)] if plot.deep else []),
    ]


async def commands_that_cross(stage: Stage) -> None:
    """A movement of the camera is allowed here: it crosses as a meaning, and is written anew."""
    lower, upper = stage.lower, stage.upper
    lower.heard.clear()
    more = f"<PTZCmd>A50F01011F0000D5</PTZCmd><PTZCmdParams>{upper.words('PTZCmdParams')}</PTZCmdParams>"
    for target, status in ((lower.shown[0], 200), (lower.guessed, 404)):
        ptz = upper.query("DeviceControl", target, f"PTZ, {status}", root="Control", more=more, tail=False)
        answer = await upper.ask(ptz)
        assert answer is not None
        assert answer.status == status
    moved = await lower.expect(lambda m: m.element("PTZCmd") != "")
    assert moved is not None
    assert moved.element("PTZCmd").startswith("A50F01011F")


async def alarms(stage: Stage) -> None:
    """One of a shared camera is told above in words of its own; one of a kept camera, or of nobody, never."""
    lower, upper = stage.lower, stage.upper
    upper.heard.clear()
    for source, where, status in (
        (lower.kept[0], "alarm of a kept camera", 200),
        (lower.shown[0], "alarm of a shared camera", 200),
    ):
        answer = await lower.ask(lower.alarm(source, where, crosses=source == lower.shown[0]))
        assert answer is not None
        assert answer.status == status
    told = await upper.expect(lambda m: m.element("CmdType") == "Alarm")
    assert told is not None
    assert told.element("DeviceID") == lower.shown[0]


async def until(fits: Callable[[], bool], seconds: float = 60.0) -> None:
    for _ in range(int(seconds * 10)):
        if fits():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came about")


def shown_above(stage: Stage) -> set[str]:
    side = getattr(stage.here.gateway, stage.plot.above).side
    return set(side.shared.rows(stage.plot.lower_id).ids())


async def catalog(stage: Stage) -> None:
    await until(lambda: set(stage.lower.shown) <= shown_above(stage))
    whole = await stage.upper.asks("Catalog", stage.upper.us, "catalog query")
    seen = b"".join(page.body for page in whole).decode("gb18030")
    assert f"<DeviceID>{stage.lower.shown[0]}</DeviceID>" in seen
    assert stage.lower.shown[1] not in seen  # not 20 digits: shown under an id of ours
    part = await stage.upper.asks("Catalog", stage.plot.shared_branch, "query of a branch")
    assert len(part) > 1
    for channel in (stage.lower.guessed, stage.upper.mark("an id that nobody has")):
        refused = await stage.upper.asks("Catalog", channel, "query of what is kept")
        assert [message.status for message in refused] == [404]
    stage.here.collect()


async def questions(stage: Stage) -> None:
    upper, camera = stage.upper, stage.lower.shown[0]
    for kind in ("DeviceInfo", "DeviceStatus"):
        status, answer = await upper.asks(kind, camera, f"{kind} of a camera")
        assert status.status == 200
        assert answer.element("Result") == "OK"
        (_, own) = await upper.asks(kind, upper.us, f"{kind} of ours")
        assert own.element("DeviceID") == upper.us
        for hidden in (stage.lower.guessed, upper.mark("an id that nobody has")):
            assert [m.status for m in await upper.asks(kind, hidden, f"{kind} of what is kept")] == [404]


async def trash(stage: Stage) -> None:
    """What neither side takes: unknown methods and commands, broken messages, strangers."""
    for peer in (stage.lower, stage.upper):
        for method in (
            "OPTIONS",
            "SUBSCRIBE",
            "NOTIFY",
            "INFO",
            "PUBLISH",
            "REFER",
            "BYE",
            "CANCEL",
            peer.mark("method").upper(),
        ):
            body = peer.marks.text(f"{peer.name}: {method}, body").encode()
            await peer.ask(
                peer.request(
                    method,
                    method,
                    body=body,
                    content_type="text/plain",
                    more=[f"Event: {peer.mark('Event')}"],
                ),
                seconds=1,
            )
        for at, text in enumerate(commands(peer)):
            where = f"command {at}"
            await peer.ask(
                peer.request("MESSAGE", where, body=text.encode("gb18030"), content_type=XML), seconds=1
            )
        await peer.ask(
            peer.request("MESSAGE", "another type", body=b"x", content_type=f"text/{peer.mark('type')}"),
            seconds=1,
        )
        await peer.ask(
            peer.request("MESSAGE", "extension", more=[f"Require: {peer.mark('Require')}"]), seconds=1
        )
        whole = peer.request("MESSAGE", "broken", body=b"<Notify>", content_type=XML)
        peer.send(whole.replace(b"CSeq: ", b"CSeq: " + peer.mark("CSeq").encode()))
        peer.send(whole[: len(whole) // 2])
        peer.send(peer.mark("no SIP at all").encode() + b"\r\n\r\n")
        await asyncio.sleep(2)
    stranger = Peer(
        stage.here.network,
        stage.plot.marks_below,
        name="stranger",
        id=stage.plot.id(stage.plot.marks_below, "a stranger's id", 200),
        address=(stage.plot.marks_below.address("a stranger's address", PREFIX[stage.plot.below][:-1]), 5060),
        gateway=stage.lower.gateway,
        us=stage.lower.us,
    )
    response = stranger.marks.random.randbytes(16).hex()
    proof = (
        f'Authorization: Digest username="{stranger.mark("username")}", realm="{stranger.us[:10]}", '
        f'nonce="{stranger.mark("nonce")}", uri="sip:{stranger.mark("uri")}", response="{response}"'
    )
    await stranger.ask(stranger.request("REGISTER", "a stranger", more=[proof]))
    await stranger.ask(stranger.request("INVITE", "a stranger's INVITE", user=stage.lower.shown[0]))
    stranger.close()


def commands(peer: Peer) -> list[str]:
    """Bodies that we do not take: other commands, another's answers, broken ones.

    But for the alarm: of an unknown source it is one of the peer itself (Q86), and only a lower has any.
    """

    def w(place: str) -> str:
        return peer.words(f"command, {place}")

    target = peer.mark("command, DeviceID")
    alarm = peer.words("command, alarm", crosses="Alarm.description" if isinstance(peer, Lower) else "")

    def command(root: str, kind: str, sn: str, more: str = "") -> str:
        return f"<{root}><CmdType>{kind}</CmdType><SN>{sn}</SN><DeviceID>{target}</DeviceID>{more}</{root}>"

    return [
        command("Notify", "Alarm", "1", f"<AlarmDescription>{alarm}</AlarmDescription>"),
        command("Notify", "MobilePosition", "2", f"<Longitude>{w('position')}</Longitude>"),
        command("Notify", "MediaStatus", "3", f"<NotifyType>{w('media')}</NotifyType>"),
        command("Notify", w("unknown notice"), "4"),
        command("Response", "RecordInfo", "5", f"<Name>{w('recording')}</Name>"),
        command("Response", "DeviceInfo", "6", f"<Model>{w('unasked')}</Model>"),
        command("Control", "DeviceControl", "7", f"<PTZCmd>{w('PTZ')}</PTZCmd>"),
        command("Control", "DeviceControl", "8", f"<TeleBoot>{w('boot')}</TeleBoot>"),
        command("Query", w("unknown query"), "9"),
        command("Query", "Catalog", w("SN")),
        f"<!DOCTYPE x [<!ENTITY e '{w('entity')}'>]>" + command("Query", "Catalog", "10", "&e;"),
        command("Notify", "Keepalive", "11", f"<Status>{w('cut short')}").removesuffix("</Notify>"),
        w("no XML"),
    ]


async def changes(stage: Stage) -> None:
    """What is kept is added, changed and removed, and goes off and on; so is what is shared."""
    lower, plot, marks = stage.lower, stage.plot, stage.plot.marks_below
    before = lower.catalogs
    added = [plot.id(marks, f"a kept camera that comes later, {at}", 132) for at in range(2)]
    late = plot.id(marks, "a shared camera that comes later", 132, crosses="CatalogBatch.rows.id")

    def later() -> list[str]:
        return [
            *first_catalog(lower)[:-1],  # one of the kept is gone
            *(lower.item(id, shared=False) for id in added),
            lower.item(late, shared=True),
        ]

    for id in (lower.shown[0], lower.kept[0]):
        del lower.items[id]  # told anew, with new texts
    lower.catalog = later
    await until(lambda: lower.catalogs > before and late in shown_above(stage), 400)
    await stage.upper.asks("Catalog", stage.upper.us, "catalog query after changes")
    stage.here.collect()
    for change in (
        lambda: [item for item in later() if plot.kept_branch not in item.partition("</DeviceID>")[0]],
        lambda: first_catalog(lower)[:4],
        lambda: first_catalog(lower),
    ):
        before, lower.catalog = lower.catalogs, change
        await until(partial(told_again, lower, before), 400)
        await asyncio.sleep(10)
        await stage.upper.asks("Catalog", stage.upper.us, "catalog query at last")
        stage.here.collect()
    assert set(lower.shown) <= shown_above(stage)
    assert late not in shown_above(stage)


def told_again(lower: Lower, before: int) -> bool:
    return lower.catalogs > before


async def away(stage: Stage) -> None:
    """The lower falls silent and comes back; then it says goodbye."""
    side = getattr(stage.here.gateway, stage.plot.below).side
    stage.lower.alive = False
    await until(lambda: side.as_upper.bound == 0, 400)
    await stage.upper.asks("Catalog", stage.upper.us, "catalog query while it is away")
    await stage.upper.asks("DeviceInfo", stage.lower.shown[0], "question while it is away")
    stage.here.collect()
    stage.lower.alive = True
    await stage.lower.register("REGISTER again")
    await asyncio.sleep(20)


@asynccontextmanager
async def staged(link: Link, plot: Plot, store: Callable[[Path], Store]) -> AsyncIterator[Stage]:
    async with apart(link, plot.config(), plot.passwords(), store) as here:
        yield await _enter(here, plot)


async def _enter(here: Apart, plot: Plot) -> Stage:
    return Stage(here, plot, Lower(here, plot), Upper(here, plot))


async def played(link: Link, plot: Plot, store: Callable[[Path], Store]) -> Apart:
    async with staged(link, plot, store) as stage:
        alive = asyncio.ensure_future(stage.lower.live())
        try:
            await play(stage)
        finally:
            alive.cancel()
    return stage.here
