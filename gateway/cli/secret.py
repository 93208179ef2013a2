"""`lockgate secret`: by what peers prove themselves to us, and we to those above. No command shows one."""

import getpass
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cascade.credential import Credential
from cascade.model.secret import Secret
from certs.identities import SideName
from gateway.cli.check import DEFAULT, config_option, side_named, side_option, tell
from gateway.cli.scaffold import Frame
from gateway.config import Config, examine
from gateway.config_admit import admitted
from gateway.credentials.holders import Expected, by_side, expected, place_of
from gateway.credentials.key import SecretsUnusable
from gateway.credentials.lines import (
    MAX_FILE_BYTES,
    MAX_PASSWORD,
    Line,
    Unreadable,
    bad_password,
    of_csv,
    of_toml,
    text_of,
)
from gateway.credentials.setting import Report, Roll, apply
from gateway.credentials.store import Holder, changing, read
from gateway.words import Saying, Words, saying
from gateway.words.sentences import recognised
from gateway.words.system import reason
from sip.algorithms import ALGORITHMS

MAX_TOLD: Final = 1000
"""Refused lines of one file that are told; the rest is counted."""


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words
    secret = typer.Typer()

    @secret.command("set", **frame.command(words.say("help.secret_set")))
    def set_one(
        peer: Annotated[str, _peer(words)],
        user: Annotated[
            str,
            typer.Option("--user", help=words.say("help.secret_user"), metavar="NAME", show_default=False),
        ] = "",
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        here = side_named(side)
        set_secret(peer, user, _config(config, words, here), words, here)

    @secret.command("import", **frame.command(words.say("help.secret_import")))
    def bring(
        file: Annotated[Path, typer.Argument(help=words.say("help.secret_file"), metavar="FILE")],
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help=words.say("help.secret_dry_run"), show_default=False)
        ] = False,
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        here = side_named(side)
        import_file(file, _config(config, words, here), words, here, dry_run=dry_run)

    @secret.command("list", **frame.command(words.say("help.secret_list")))
    def show(
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        here = side_named(side)
        listed(_config(config, words, here), words, here)

    @secret.command("remove", **frame.command(words.say("help.secret_remove")))
    def take_away(
        peer: Annotated[str, _peer(words)],
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        remove(peer, _config(config, words, side_named(side)), words)

    app.add_typer(secret, name="secret", **frame.group(words.say("help.secret")))


def _peer(words: Words) -> Any:
    return typer.Argument(help=words.say("help.secret_peer"), metavar="PEER", show_default=False)


def _config(path: Path, words: Words, here: SideName | None) -> Config:
    """The configuration, whatever secrets there are. Exits 2 where it is wrong."""
    examined = examine(path, here, secrets=False)
    if examined.config is None or examined.problems:
        tell(examined.problems, words)
        raise typer.Exit(2)
    return examined.config


@contextmanager
def _told(words: Words) -> Iterator[None]:
    """Exits 2 where store or key cannot be used."""
    try:
        yield
    except SecretsUnusable as error:
        typer.echo(words.render(error.said), err=True)
        raise typer.Exit(2) from error


def _refuse(what: Saying, words: Words, code: int = 2) -> typer.Exit:
    typer.echo(words.render(what), err=True)
    return typer.Exit(code)


def set_secret(peer: str, user: str, config: Config, words: Words, here: SideName | None) -> None:
    """Ask for the password on a terminal, else read a line; keep what it makes. Exits 2 where refused."""
    roll = Roll(config, here)
    roles = roll.roles(peer, user)
    if isinstance(roles, Saying):
        raise _refuse(roles, words)
    password = _password(peer, words)
    if why := bad_password(password):
        raise _refuse(why, words)
    with _told(words), changing(place_of(config)) as kept:
        report = apply([Line(1, peer, Secret(password), user)], roll, kept, time.time())
    if report.same:
        typer.echo(words.say("secret.same", peer=peer))
        return
    for role in roles:
        name, realm = user or role.usual_user, role.realm
        typer.echo(words.say("secret.set", peer=peer, side=_side(role), user=name, realm=realm))
    typer.echo(words.say("secret.reload"))


def _password(peer: str, words: Words) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline(MAX_PASSWORD + 3).rstrip("\r\n")
    password = getpass.getpass(words.say("secret.ask", peer=peer) + " ")
    if password and getpass.getpass(words.say("secret.ask_again") + " ") != password:
        raise _refuse(saying("secret.differ"), words)
    return password


def import_file(
    file: Path, config: Config, words: Words, here: SideName | None, *, dry_run: bool = False
) -> None:
    """Keep what the lines say in one step, and tell what became of each. Exits 1 where one was refused."""
    lines = _lines(file, words)
    roll = Roll(config, here)
    with _told(words):
        if dry_run:
            report = apply(lines, roll, read(place_of(config)), time.time())
        else:
            with changing(place_of(config)) as kept:
                report = apply(lines, roll, kept, time.time())
    for line in report.refused[:MAX_TOLD]:
        typer.echo(words.say("secret.refused", file=str(file), line=line.number, why=line.why), err=True)
    if len(report.refused) > MAX_TOLD:
        typer.echo(words.say("secret.more_refused", count=len(report.refused) - MAX_TOLD), err=True)
    _summary(report, words, dry_run=dry_run)
    if file.suffix == ".toml" and not dry_run and not report.refused:
        typer.echo(words.say("secret.old_file", file=str(file)))
    raise typer.Exit(1 if report.refused else 0)


def _summary(report: Report, words: Words, *, dry_run: bool) -> None:
    added, changed = len(report.added), len(report.changed)
    same, refused = len(report.same), len(report.refused)
    if dry_run:
        typer.echo(words.say("secret.would", added=added, changed=changed, same=same, refused=refused))
        return
    typer.echo(words.say("secret.became", added=added, changed=changed, same=same, refused=refused))
    if added or changed:
        typer.echo(words.say("secret.reload"))


def _lines(file: Path, words: Words) -> Iterable[Line | Unreadable]:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _refuse(saying("secret.large_file", file=str(file), most=MAX_FILE_BYTES >> 20), words)
        text = text_of(data)
        return list(of_toml(text)) if file.suffix == ".toml" else of_csv(text)
    except OSError as error:
        raise _refuse(saying("secret.unreadable", file=str(file), reason=reason(error)), words) from error
    except UnicodeDecodeError as error:
        raise _refuse(saying("secret.no_text", file=str(file), byte=error.start), words) from error
    except tomllib.TOMLDecodeError as error:
        why = recognised(str(error))
        raise _refuse(saying("secret.no_toml", file=str(file), reason=why), words) from error


def listed(config: Config, words: Words, here: SideName | None) -> None:
    """Who has a secret, for what and since when, and who has none. Exits 1 where one is missing."""
    with _told(words):
        kept = read(place_of(config))
    config, _ = admitted(config, by_side(kept).ids(), here)
    missing = False
    for role in expected(config, here):
        holder = role.holder
        credential = kept.pop(holder, None)
        why = role.misfit(credential)
        missing |= why is not None
        if credential is not None:
            typer.echo(_line(_side(role), holder, credential, words))
        if why is not None:
            typer.echo("  " + words.render(why) if credential else words.render(why))
    for holder, credential in sorted(kept.items()):
        side = saying("side.outer") if holder.side == "outer" else saying("side.inner")
        typer.echo(_line(side, holder, credential, words))
        typer.echo("  " + words.say("secret.nobody", peer=holder.peer))
    raise typer.Exit(1 if missing else 0)


def _line(side: Saying, holder: Holder, credential: Credential, words: Words) -> str:
    peer, user, realm = holder.peer, credential.user, credential.realm
    listed = ", ".join(ALGORITHMS)
    since = datetime.fromtimestamp(credential.since).astimezone().strftime("%Y-%m-%d %H:%M")
    if holder.above:
        return words.say(
            "secret.above", side=side, peer=peer, user=user, realm=realm, algorithms=listed, since=since
        )
    return words.say(
        "secret.below", side=side, peer=peer, user=user, realm=realm, algorithms=listed, since=since
    )


def remove(peer: str, config: Config, words: Words) -> None:
    """Exits 1 where there is none."""
    with _told(words), changing(place_of(config)) as kept:
        found = [holder for holder in kept if holder.peer == peer]
        for holder in found:
            del kept[holder]
    if not found:
        raise _refuse(saying("secret.none", peer=peer), words, 1)
    typer.echo(words.say("secret.removed", peer=peer))


def _side(role: Expected) -> Saying:
    return saying("side.outer") if role.holder.side == "outer" else saying("side.inner")
