"""The commands of `lockgate-sim`: single cameras, a lower and an upper platform for GB/T 28181.

Exit codes: 0 all went well, 1 nobody registered or what was asked for did not come, 2 it can't be done
as asked, 130 a second Ctrl-C. The language is chosen in `interop.sim.__main__` and handed down.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import Annotated, Any

import typer

from interop.attacks import command as attacks
from interop.impair import command as impair
from interop.sim.alarms import AlarmSpec
from interop.sim.camera import CameraSpec
from interop.sim.catalog import sample_tree
from interop.sim.device import Devices
from interop.sim.fleet import Plan, Running, counted
from interop.sim.frame import Frame
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Membership, Server, Terms
from interop.sim.notifying import changed
from interop.sim.options import (
    Options,
    address_of,
    charset_of,
    check_id,
    check_platforms,
    check_room,
    check_video,
    listen_of,
    number_from,
    server_of,
)
from interop.sim.station import Reporter, run, station, until_stopped
from interop.sim.watching import Wanted, watch
from interop.words import Saying, Words, saying
from sip.endpoint import Party
from sip.uri import host_port


def build(words: Words) -> typer.Typer:
    """Every command, with its help in one language."""
    frame, options = Frame(words), Options(words)
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        **frame.group(words.say("program.sim")),
    )

    @app.callback()
    def root(lang: Annotated[str | None, options.lang] = None) -> None:
        """`--lang` is here for the help page; it has been taken off the arguments."""

    _add_device(app, frame, options)
    _add_lower(app, frame, options)
    _add_upper(app, frame, options)
    _add_fleet(app, frame, options)
    attacks.add(app, frame, options)
    impair.add(app, frame, options)
    return app


def _add_device(app: typer.Typer, frame: Frame, options: Options) -> None:
    words = frame.words

    @app.command("device", **frame.command(words.say("program.device")))
    def device(
        server: Annotated[str, options.server],
        server_id: Annotated[str, options.server_id],
        password: Annotated[str, options.password],
        first_id: Annotated[str, options.first_id] = "44010600001320000001",
        count: Annotated[int, options.count] = 1,
        server_domain: Annotated[str, options.server_domain] = "",
        domain: Annotated[str, options.domain] = "",
        listen: Annotated[str, options.listen] = "",
        media_host: Annotated[str, options.media_host] = "",
        video: Annotated[Path | None, options.video] = None,
        expires: Annotated[int, options.expires] = 3600,
        keepalive: Annotated[float, options.keepalive] = 60.0,
        retry: Annotated[float, options.retry] = 60.0,
        charset: Annotated[str, options.charset] = "GB2312",
        seconds: Annotated[float | None, options.seconds] = None,
        as_json: Annotated[bool, options.as_json] = False,
        every: Annotated[float, options.every] = 5.0,
    ) -> None:
        above = server_of(server, server_id, server_domain)
        check_id("--id", first_id)
        check_room("--id", first_id, count)
        check_video(video)
        cameras = [
            CameraSpec(number_from(first_id, offset), f"Camera {offset + 1}", offset + 1, video=video)
            for offset in range(count)
        ]
        reporter = Reporter(words, as_json=as_json, every=every)

        async def main() -> list[Saying]:
            ours = listen_of(listen, above)
            me = Party(first_id, domain or first_id[:10])
            async with station(ours, me, me.host) as base:
                devices = Devices(
                    endpoint=base.endpoint,
                    calls=base.calls,
                    net=base.net,
                    server=above,
                    password=password,
                    media_host=media_host or ours[0],
                    cameras=cameras,
                    terms=Terms(expires, keepalive, retry),
                    charset=charset_of(charset),
                    workers=base.workers,
                )

                def status() -> dict[str, Any]:
                    return {
                        "registered": devices.registered,
                        "cameras": count,
                        "keepalives": sum(one.keepalives for one in devices.memberships),
                        **devices.senders.totals(),
                        **devices.listeners.totals(),
                        **_last_error(devices.memberships),
                    }

                reporter.say("started", address=host_port(*base.endpoint.local), cameras=count)
                await until_stopped(devices.run(), status, reporter, seconds=seconds)
                return _never_registered(devices.memberships, above)

        run(main(), words)


def _add_lower(app: typer.Typer, frame: Frame, options: Options) -> None:
    words = frame.words

    @app.command("lower", **frame.command(words.say("program.lower")))
    def lower(
        server: Annotated[str, options.server],
        server_id: Annotated[str, options.server_id],
        password: Annotated[str, options.password],
        own_id: Annotated[str, options.own_id] = "44010600002000000001",
        name: Annotated[str, options.name] = "Lower platform",
        cameras: Annotated[int, options.cameras] = 16,
        speakers: Annotated[int, options.speakers] = 0,
        branch: Annotated[list[str] | None, options.branch] = None,
        server_domain: Annotated[str, options.server_domain] = "",
        domain: Annotated[str, options.domain] = "",
        listen: Annotated[str, options.listen] = "",
        media_host: Annotated[str, options.media_host] = "",
        video: Annotated[Path | None, options.video] = None,
        expires: Annotated[int, options.expires] = 3600,
        keepalive: Annotated[float, options.keepalive] = 60.0,
        retry: Annotated[float, options.retry] = 60.0,
        charset: Annotated[str, options.charset] = "GB2312",
        page_items: Annotated[int, options.page_items] = 4,
        alarm: Annotated[list[str] | None, options.alarm] = None,
        alarm_every: Annotated[float | None, options.alarm_every] = None,
        turn_every: Annotated[float | None, options.turn_every] = None,
        seconds: Annotated[float | None, options.seconds] = None,
        as_json: Annotated[bool, options.as_json] = False,
        every: Annotated[float, options.every] = 5.0,
    ) -> None:
        above = server_of(server, server_id, server_domain)
        check_id("--id", own_id)
        for channel in alarm or ():
            check_id("--alarm", channel)
        check_video(video)
        tree = sample_tree(
            own_id, name, cameras, branches=branch or ("Roads", "Schools"), video=video, speakers=speakers
        )
        reporter = Reporter(words, as_json=as_json, every=every)

        async def main() -> list[Saying]:
            ours = listen_of(listen, above)
            me = Party(own_id, domain or own_id[:10])
            async with station(ours, me, me.host) as base:
                platform = LowerPlatform(
                    endpoint=base.endpoint,
                    calls=base.calls,
                    net=base.net,
                    server=above,
                    password=password,
                    media_host=media_host or ours[0],
                    name=name,
                    cameras=tree.cameras,
                    branches=tree.branches,
                    speakers=tree.speakers,
                    terms=Terms(expires, keepalive, retry),
                    charset=charset_of(charset),
                    page_items=page_items,
                    workers=base.workers,
                )

                def status() -> dict[str, Any]:
                    return {
                        "registered": platform.registered.is_set(),
                        "keepalives": platform.membership.keepalives,
                        "queries": platform.answers.queries,
                        "pages": platform.answers.pages,
                        **platform.senders.totals(),
                        **platform.listeners.totals(),
                        **_last_error([platform.membership]),
                    }

                async def work() -> None:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(platform.run())
                        tasks.create_task(_ring(platform, alarm or (), alarm_every, reporter))
                        tasks.create_task(_turn(platform, turn_every))

                reporter.say("started", address=host_port(*base.endpoint.local), cameras=cameras)
                await until_stopped(work(), status, reporter, seconds=seconds)
                return _never_registered([platform.membership], above)

        run(main(), words)


async def _ring(
    platform: LowerPlatform, devices: Sequence[str], every: float | None, reporter: Reporter
) -> None:
    """An alarm of each of these once we are registered, and again each so many seconds."""
    for number in count(1):
        await platform.registered.wait()
        for device in devices:
            spec = AlarmSpec(device=device, description=f"alarm {number}")
            status = await platform.bell.ring(spec)
            reporter.say("rang", id=device, description=spec.description, answer=status)
        if every is None:
            return
        await asyncio.sleep(every)


async def _turn(platform: LowerPlatform, every: float | None) -> None:
    """One camera after the other is off for so many seconds, and whoever has subscribed is told."""
    cameras = cycle([camera.id for camera in platform.tree.cameras])
    while every is not None and platform.tree.cameras:
        camera = next(cameras)
        for change in ("OFF", "ON"):
            await asyncio.sleep(every)
            await platform.notifier.tell([changed(change, [("DeviceID", camera)])])


def _add_upper(app: typer.Typer, frame: Frame, options: Options) -> None:
    words = frame.words

    @app.command("upper", **frame.command(words.say("program.upper")))
    def upper(
        password: Annotated[str, options.password],
        own_id: Annotated[str, options.own_id] = "44000000002000000001",
        platform: Annotated[list[str] | None, options.platform] = None,
        listen: Annotated[str, options.listen] = "127.0.0.1:5060",
        media_host: Annotated[str, options.media_host] = "",
        domain: Annotated[str, options.domain] = "",
        play: Annotated[list[str] | None, options.play] = None,
        play_first: Annotated[int, options.play_first] = 0,
        speak: Annotated[list[str] | None, options.speak] = None,
        alarms: Annotated[bool, options.alarms] = False,
        subscribe: Annotated[bool, options.subscribe] = False,
        snapshots: Annotated[Path | None, options.snapshots] = None,
        charset: Annotated[str, options.charset] = "GB2312",
        seconds: Annotated[float | None, options.seconds] = None,
        as_json: Annotated[bool, options.as_json] = False,
        every: Annotated[float, options.every] = 5.0,
    ) -> None:
        check_id("--id", own_id)
        check_platforms(platform)
        ours = address_of(listen, "--listen")
        wanted = Wanted(
            me=Party(own_id, domain or own_id[:10]),
            listen=ours,
            media_host=media_host or ours[0],
            passwords=dict.fromkeys(platform or (), password),
            channels=tuple(play or ()),
            first=play_first,
            snapshots=snapshots,
            charset=charset_of(charset),
            seconds=seconds,
            speak=tuple(speak or ()),
            alarms=alarms,
            subscribe=subscribe,
        )
        run(watch(wanted, Reporter(words, as_json=as_json, every=every)), words)


def _last_error(memberships: Iterable[Membership]) -> dict[str, Saying]:
    """For a status line: what went wrong last; nothing where nothing did."""
    errors = [one.last_error.said for one in memberships if one.last_error]
    return {"last_error": errors[-1]} if errors else {}


def _never_registered(memberships: Iterable[Membership], above: Server) -> list[Saying]:
    """Nothing where each of them was registered once; else what, why, and what to do."""
    never = [one for one in memberships if not one.registrations]
    if not never:
        return []
    error = never[-1].last_error
    why = saying("why.silence") if error is None else error.said
    return [_missing(len(never), above, why, 0 if error is None else error.status)]


def _missing(count: int, above: Server, why: Saying, status: int) -> Saying:
    if status == 0:
        remedy = saying("never.mute")
    elif status in {401, 403, 407}:
        remedy = saying("never.forbidden")
    else:
        remedy = saying("never.declined")
    address = host_port(*above.address)
    return saying("never.registered", count=count, id=above.id, address=address, why=why, remedy=remedy)


def _add_fleet(app: typer.Typer, frame: Frame, options: Options) -> None:
    words = frame.words

    @app.command("fleet", **frame.command(words.say("program.fleet")))
    def fleet(
        server: Annotated[str, options.server],
        server_id: Annotated[str, options.server_id],
        password: Annotated[str, options.password],
        first_id: Annotated[str, options.first_id] = "44010700001180000001",
        count: Annotated[int, options.fleet_count] = 10_000,
        server_domain: Annotated[str, options.server_domain] = "",
        listen: Annotated[str, options.listen] = "",
        sockets: Annotated[int, options.sockets] = 1,
        window: Annotated[int, options.window] = 256,
        waves: Annotated[int, options.waves] = 1,
        strangers: Annotated[int, options.strangers] = 0,
        expires: Annotated[int, options.expires] = 3600,
        keepalive: Annotated[float, options.keepalive] = 60.0,
        seconds: Annotated[float | None, options.seconds] = None,
        as_json: Annotated[bool, options.as_json] = False,
        every: Annotated[float, options.every] = 5.0,
    ) -> None:
        above = server_of(server, server_id, server_domain)
        check_id("--id", first_id)
        check_room("--id", first_id, count)
        plan = Plan(
            count=count,
            window=window,
            expires=expires,
            keepalive=keepalive,
            waves=waves,
            strangers=strangers,
        )
        reporter = Reporter(words, as_json=as_json, every=every)

        async def main() -> list[Saying]:
            running = Running(
                above,
                listen_of(listen, above),
                first_id=first_id,
                password=password,
                sockets=sockets,
                plan=plan,
            )
            reporter.say("started", cameras=count)
            await until_stopped(running.run(reporter), running.status, reporter, seconds=seconds)
            missing, statuses = running.missing()
            if not missing:
                return []
            status = max(statuses, key=lambda one: statuses[one], default=0)
            why = saying("why.statuses", said=counted(statuses)) if status else saying("why.silence")
            return [_missing(missing, above, why, status)]

        run(main(), words)
