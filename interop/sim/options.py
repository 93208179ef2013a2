"""The options of `lockgate-sim`, with their meanings in the user's words, and what they may hold."""

from pathlib import Path
from typing import Any, Final

import typer

from interop.sim.camera import UnusableVideo, VideoFile
from interop.sim.frame import Misuse
from interop.sim.membership import Server
from interop.sim.net import Address
from interop.sim.reasons import system
from interop.sim.station import address, own_host
from interop.words import Words, saying
from interop.words.choice import OPTION

CHARSETS: Final = ("GB2312", "GB18030", "UTF-8")


class Options:
    """One attribute for each option, to stand in the annotations of a command's parameters."""

    def __init__(self, words: Words) -> None:
        say, option = words.say, typer.Option
        self.lang: Any = option(OPTION, metavar="LANG", help=say("usage.lang"), show_default=False)
        self.server: Any = option("--server", metavar="HOST[:PORT]", help=say("option.server"))
        self.server_id: Any = option("--server-id", metavar="ID", help=say("option.server_id"))
        self.server_domain: Any = option(
            "--server-domain", metavar="DOMAIN", help=say("option.server_domain"), show_default=False
        )
        self.domain: Any = option("--domain", metavar="DOMAIN", help=say("option.domain"), show_default=False)
        self.password: Any = option(
            "--password", metavar="WORD", envvar="LOCKGATE_SIM_PASSWORD", help=say("option.password")
        )
        self.listen: Any = option("--listen", metavar="HOST[:PORT]", help=say("option.listen"))
        self.media_host: Any = option(
            "--media-host", metavar="HOST", help=say("option.media_host"), show_default=False
        )
        self.video: Any = option("--video", metavar="FILE", help=say("option.video"))
        self.expires: Any = option("--expires", min=60, metavar="SECONDS", help=say("option.expires"))
        self.keepalive: Any = option("--keepalive", min=1.0, metavar="SECONDS", help=say("option.keepalive"))
        self.retry: Any = option("--retry", min=1.0, metavar="SECONDS", help=say("option.retry"))
        self.charset: Any = option("--charset", metavar="NAME", help=say("option.charset"))
        self.seconds: Any = option("--seconds", min=0.1, metavar="SECONDS", help=say("option.seconds"))
        self.as_json: Any = option("--json", help=say("option.json"))
        self.every: Any = option("--every", min=0.1, metavar="SECONDS", help=say("option.every"))
        self.own_id: Any = option("--id", metavar="ID", help=say("option.id"))
        # of `device`
        self.first_id: Any = option("--id", metavar="ID", help=say("option.first_id"))
        self.count: Any = option("--count", min=1, max=100_000, metavar="N", help=say("option.count"))
        # of `fleet`
        self.fleet_count: Any = option("--count", min=1, max=2_000_000, metavar="N", help=say("option.count"))
        self.window: Any = option("--window", min=1, metavar="N", help=say("option.window"))
        self.sockets: Any = option("--sockets", min=1, max=1000, metavar="N", help=say("option.sockets"))
        self.waves: Any = option("--waves", min=1, metavar="N", help=say("option.waves"))
        self.strangers: Any = option("--strangers", min=0, metavar="N", help=say("option.strangers"))
        # of `attack`
        self.attacked: Any = option("--user", metavar="ID", help=say("option.attacked"))
        self.attack_listen: Any = option("--listen", metavar="HOST", help=say("option.attack_listen"))
        self.other_host: Any = option(
            "--other-host", metavar="HOST", help=say("option.other_host"), show_default=False
        )
        self.other_user: Any = option("--other-user", metavar="ID", help=say("option.other_user"))
        self.other_password: Any = option(
            "--other-password", metavar="WORD", envvar="LOCKGATE_SIM_OTHER", help=say("option.other_password")
        )
        self.other_door: Any = option("--other-door", metavar="HOST[:PORT]", help=say("option.other_door"))
        self.only: Any = option("--only", metavar="NAME", help=say("option.only"))
        self.guesses: Any = option("--guesses", min=1, max=10_000, metavar="N", help=say("option.guesses"))
        self.flood_rate: Any = option(
            "--flood-rate", min=1, max=100_000, metavar="N", help=say("option.flood_rate")
        )
        self.flood_seconds: Any = option(
            "--flood-seconds", min=0.1, max=600.0, metavar="SECONDS", help=say("option.flood_seconds")
        )
        self.patience: Any = option("--patience", min=0.1, metavar="SECONDS", help=say("option.patience"))
        self.stale_seconds: Any = option(
            "--stale-seconds", min=0.0, metavar="SECONDS", help=say("option.stale_seconds")
        )
        # of `impair`
        self.impair_listen: Any = option("--listen", metavar="HOST[:PORT]", help=say("option.impair_listen"))
        self.one: Any = option("--one", metavar="HOST[:PORT]", help=say("option.one"), show_default=False)
        self.other: Any = option("--other", metavar="HOST[:PORT]", help=say("option.other"))
        self.impair_plan: Any = option("--plan", metavar="FILE", help=say("option.impair_plan"))
        self.seed: Any = option("--seed", metavar="N", help=say("option.seed"), show_default=False)
        # of `lower`
        self.name: Any = option("--name", metavar="NAME", help=say("option.name"))
        self.cameras: Any = option("--cameras", min=0, max=100_000, metavar="N", help=say("option.cameras"))
        self.speakers: Any = option(
            "--speakers", min=0, max=100_000, metavar="N", help=say("option.speakers")
        )
        self.branch: Any = option("--branch", metavar="NAME", help=say("option.branch"))
        self.page_items: Any = option("--page-items", min=1, metavar="N", help=say("option.page_items"))
        self.alarm: Any = option("--alarm", metavar="ID", help=say("option.alarm"))
        self.alarm_every: Any = option(
            "--alarm-every", min=0.1, metavar="SECONDS", help=say("option.alarm_every")
        )
        self.turn_every: Any = option(
            "--turn-every", min=0.1, metavar="SECONDS", help=say("option.turn_every")
        )
        # of `upper`
        self.platform: Any = option("--platform", metavar="ID", help=say("option.platform"))
        self.play: Any = option("--play", metavar="CHANNEL", help=say("option.play"))
        self.play_first: Any = option("--play-first", min=0, metavar="N", help=say("option.play_first"))
        self.speak: Any = option("--speak", metavar="TARGET", help=say("option.speak"))
        self.alarms: Any = option("--alarms", help=say("option.alarms"))
        self.subscribe: Any = option("--subscribe", help=say("option.subscribe"))
        self.snapshots: Any = option("--snapshots", metavar="FOLDER", help=say("option.snapshots"))


def number_from(first: str, offset: int) -> str:
    """The id that many after `first`, in its serial number (the last six digits) and on."""
    return f"{int(first) + offset:020d}"


def check_id(option: str, text: str) -> None:
    if not _is_id(text):
        raise Misuse(saying("usage.needs_id", option=option, text=text))


def check_room(option: str, first: str, count: int) -> None:
    """There are so many ids from the first one on."""
    if not _is_id(number_from(first, count - 1)):
        raise Misuse(saying("usage.needs_room", option=option, count=count))


def check_platforms(platforms: list[str] | None) -> None:
    if not platforms:
        raise Misuse(saying("usage.needs_platform", option="--platform"))
    for platform in platforms:
        check_id("--platform", platform)


def check_video(video: Path | None) -> None:
    """Say at the start, not at the first INVITE, that a file can't be sent."""
    if video is None:
        return
    if not video.is_file():
        raise Misuse(saying("usage.no_file", option="--video", file=str(video)))
    try:
        VideoFile(video).close()
    except UnusableVideo as error:
        raise Misuse(error.said) from None


def charset_of(text: str) -> str:
    if text.upper() not in CHARSETS:
        raise Misuse(saying("usage.needs_charset", option="--charset", known=", ".join(CHARSETS)))
    return text.upper()


def address_of(text: str, option: str) -> Address:
    try:
        return address(text)
    except ValueError:
        raise Misuse(saying("usage.needs_address", option=option, text=text)) from None


def server_of(server: str, server_id: str, domain: str) -> Server:
    check_id("--server-id", server_id)
    return Server(server_id, domain or server_id[:10], address_of(server, "--server"))


def listen_of(text: str, above: Server) -> Address:
    """What was asked for, else a free port of the address that the server is reached from."""
    if text:
        return address_of(text, "--listen")
    try:
        return own_host(above.address), 0
    except OSError as error:
        host = above.address[0]
        raise Misuse(
            saying("usage.unreachable", option="--server", host=host, reason=system(error))
        ) from None


def _is_id(text: str) -> bool:
    return len(text) == 20 and text.isascii() and text.isdecimal()
