"""The commands of `lockgate-sim`: single cameras, a lower and an upper platform for GB/T 28181."""

from pathlib import Path
from typing import Annotated, Any

import typer

from interop.sim.camera import CameraSpec, UnusableVideo, VideoFile
from interop.sim.catalog import sample_tree
from interop.sim.device import Devices
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server, Terms
from interop.sim.station import Reporter, address, own_host, run, station, until_stopped
from interop.sim.watching import Wanted, watch
from sip.endpoint import Party

app = typer.Typer(
    help="Simulators for GB/T 28181: single cameras, a lower platform, an upper platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ServerAddress = Annotated[
    str, typer.Option("--server", metavar="HOST[:PORT]", help="SIP address of the platform above.")
]
ServerId = Annotated[
    str, typer.Option("--server-id", metavar="ID", help="20-digit id of the platform above.")
]
ServerDomain = Annotated[
    str, typer.Option("--server-domain", help="Its SIP domain; if not given, the first ten digits of its id.")
]
Domain = Annotated[
    str, typer.Option("--domain", help="Our SIP domain; if not given, the first ten digits of our id.")
]
Password = Annotated[
    str,
    typer.Option(
        "--password",
        envvar="LOCKGATE_SIM_PASSWORD",
        help="Password of the registration. The variable keeps it out of the list of processes.",
    ),
]
Listen = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="HOST[:PORT]",
        help="Our SIP address; it stands in Contact, so name one the other end can reach.",
    ),
]
MediaHost = Annotated[
    str, typer.Option("--media-host", help="Our address for media; if not given, that of --listen.")
]
Video = Annotated[
    Path | None,
    typer.Option(
        "--video",
        exists=True,
        dir_okay=False,
        help="Send this H.264 file, looped, instead of a test picture.",
    ),
]
Expires = Annotated[int, typer.Option("--expires", min=60, help="Seconds to register for.")]
Keepalive = Annotated[float, typer.Option("--keepalive", min=1.0, help="Seconds between keepalives.")]
Retry = Annotated[
    float, typer.Option("--retry", min=1.0, help="Seconds until a refused registration is tried again.")
]
Charset = Annotated[
    str, typer.Option("--charset", help="What our XML is written in: GB2312, GB18030 or UTF-8.")
]
Seconds = Annotated[float | None, typer.Option("--seconds", min=0.1, help="Stop by itself after so long.")]
AsJson = Annotated[bool, typer.Option("--json", help="Status lines as JSON, one object a line.")]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between status lines.")]


@app.command()
def device(
    server: ServerAddress,
    server_id: ServerId,
    password: Password,
    first_id: Annotated[
        str, typer.Option("--id", help="20-digit id of the first camera; the others count on from it.")
    ] = "44010600001320000001",
    count: Annotated[int, typer.Option("--count", min=1, max=100_000, help="How many cameras.")] = 1,
    server_domain: ServerDomain = "",
    domain: Domain = "",
    listen: Listen = "",
    media_host: MediaHost = "",
    video: Video = None,
    expires: Expires = 3600,
    keepalive: Keepalive = 60.0,
    retry: Retry = 60.0,
    charset: Charset = "GB2312",
    seconds: Seconds = None,
    as_json: AsJson = False,
    every: Every = 5.0,
) -> None:
    """Single cameras: each registers by itself and sends pictures when it is invited."""
    above = _server(server, server_id, server_domain)
    _check(_is_id(first_id), "--id", "20 digits")
    _check(_is_id(number_from(first_id, count - 1)), "--id", "room to count on within 20 digits")
    _check_video(video)
    cameras = [
        CameraSpec(number_from(first_id, offset), f"Camera {offset + 1}", offset + 1, video=video)
        for offset in range(count)
    ]
    reporter = Reporter(as_json=as_json, every=every)

    async def main() -> None:
        ours = _listen(listen, above)
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
                charset=_charset(charset),
                workers=base.workers,
            )

            def status() -> dict[str, Any]:
                errors = [str(one.last_error) for one in devices.memberships if one.last_error]
                return {
                    "registered": devices.registered,
                    "cameras": count,
                    "keepalives": sum(one.keepalives for one in devices.memberships),
                    **devices.senders.totals(),
                    **({"last_error": errors[-1]} if errors else {}),
                }

            reporter.say(
                "started", address=f"{base.endpoint.local[0]}:{base.endpoint.local[1]}", cameras=count
            )
            await until_stopped(devices.run(), status, reporter, seconds=seconds)

    run(main())


@app.command()
def lower(
    server: ServerAddress,
    server_id: ServerId,
    password: Password,
    own_id: Annotated[
        str, typer.Option("--id", help="20-digit id of this platform.")
    ] = "44010600002000000001",
    name: Annotated[str, typer.Option("--name", help="What it calls itself.")] = "Lower platform",
    cameras: Annotated[
        int, typer.Option("--cameras", min=0, max=100_000, help="How many cameras it has.")
    ] = 16,
    branch: Annotated[
        list[str] | None,
        typer.Option(
            "--branch", help="Name of an organisation; cameras are dealt out in turn. May be repeated."
        ),
    ] = None,
    server_domain: ServerDomain = "",
    domain: Domain = "",
    listen: Listen = "",
    media_host: MediaHost = "",
    video: Video = None,
    expires: Expires = 3600,
    keepalive: Keepalive = 60.0,
    retry: Retry = 60.0,
    charset: Charset = "GB2312",
    page_items: Annotated[int, typer.Option("--page-items", min=1, help="Catalog items in one message.")] = 4,
    seconds: Seconds = None,
    as_json: AsJson = False,
    every: Every = 5.0,
) -> None:
    """A lower platform: registers, shows a catalog of cameras in organisations, sends their pictures."""
    above = _server(server, server_id, server_domain)
    _check(_is_id(own_id), "--id", "20 digits")
    _check_video(video)
    tree = sample_tree(own_id, name, cameras, branches=branch or ("Roads", "Schools"), video=video)
    reporter = Reporter(as_json=as_json, every=every)

    async def main() -> None:
        ours = _listen(listen, above)
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
                terms=Terms(expires, keepalive, retry),
                charset=_charset(charset),
                page_items=page_items,
                workers=base.workers,
            )

            def status() -> dict[str, Any]:
                error = platform.membership.last_error
                return {
                    "registered": platform.registered.is_set(),
                    "keepalives": platform.membership.keepalives,
                    "queries": platform.answers.queries,
                    "pages": platform.answers.pages,
                    **platform.senders.totals(),
                    **({"last_error": str(error)} if error else {}),
                }

            reporter.say(
                "started", address=f"{base.endpoint.local[0]}:{base.endpoint.local[1]}", cameras=cameras
            )
            await until_stopped(platform.run(), status, reporter, seconds=seconds)

    run(main())


@app.command()
def upper(
    password: Password,
    own_id: Annotated[
        str, typer.Option("--id", help="20-digit id of this platform.")
    ] = "44000000002000000001",
    platform: Annotated[
        list[str] | None,
        typer.Option("--platform", metavar="ID", help="Who may register, with --password. May be repeated."),
    ] = None,
    listen: Listen = "127.0.0.1:5060",
    media_host: MediaHost = "",
    domain: Domain = "",
    play: Annotated[
        list[str] | None, typer.Option("--play", metavar="CHANNEL", help="Play this camera. May be repeated.")
    ] = None,
    play_first: Annotated[
        int, typer.Option("--play-first", min=0, help="Play so many cameras of the catalog, from its start.")
    ] = 0,
    snapshots: Annotated[
        Path | None,
        typer.Option("--snapshots", file_okay=False, help="Folder for a PNG of each first picture."),
    ] = None,
    charset: Charset = "GB2312",
    seconds: Seconds = None,
    as_json: AsJson = False,
    every: Every = 5.0,
) -> None:
    """An upper platform: lets platforms register, asks for their catalogs, plays cameras, checks them."""
    _check(_is_id(own_id), "--id", "20 digits")
    _check(bool(platform), "--platform", "the id of at least one platform that may register")
    ours = _address(listen, "--listen")
    reporter = Reporter(as_json=as_json, every=every)
    wanted = Wanted(
        me=Party(own_id, domain or own_id[:10]),
        listen=ours,
        media_host=media_host or ours[0],
        passwords=dict.fromkeys(platform or (), password),
        channels=tuple(play or ()),
        first=play_first,
        snapshots=snapshots,
        charset=_charset(charset),
        seconds=seconds,
    )
    run(watch(wanted, reporter))


def number_from(first: str, offset: int) -> str:
    """The id that many after `first`, in its serial number (the last six digits) and on."""
    return f"{int(first) + offset:020d}"


def _is_id(text: str) -> bool:
    return len(text) == 20 and text.isascii() and text.isdecimal()


def _check(held: bool, option: str, wanted: str) -> None:
    if not held:
        raise typer.BadParameter(f"{option} needs {wanted}")


def _address(text: str, option: str) -> tuple[str, int]:
    try:
        return address(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def _listen(text: str, above: Server) -> tuple[str, int]:
    """What was asked for, else a free port of the address that the server is reached from."""
    if text:
        return _address(text, "--listen")
    try:
        return own_host(above.address), 0
    except OSError as error:
        raise typer.BadParameter(f"--server: {above.address[0]} can't be reached: {error.strerror}") from None


def _server(server: str, server_id: str, domain: str) -> Server:
    _check(_is_id(server_id), "--server-id", "20 digits")
    return Server(server_id, domain or server_id[:10], _address(server, "--server"))


def _charset(text: str) -> str:
    _check(text.upper() in {"GB2312", "GB18030", "UTF-8"}, "--charset", "GB2312, GB18030 or UTF-8")
    return text.upper()


def _check_video(video: Path | None) -> None:
    """Say at the start, not at the first INVITE, that a file can't be sent."""
    if video is None:
        return
    try:
        VideoFile(video).close()
    except UnusableVideo as error:
        raise typer.BadParameter(f"--video: {error}") from None
