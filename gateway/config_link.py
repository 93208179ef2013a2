"""The configuration of one host of two: what it need not know, and its end of the link."""

import stat
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certs import shelf
from certs.ca import NotOurs, at
from certs.identities import Identity, SideName
from certs.trust import out_of_time, read_trust
from gateway.words import Saying, saying
from gateway.words.sentences import recognised
from gateway.words.system import reason

if TYPE_CHECKING:
    from gateway.config import Config

OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}

_UNKNOWN: Final[dict[str, Any]] = {"address": "", "media_ports": [0, 0], "networks": [""]}
"""What a host need not know of the other side: no address of one network stands on the other's host."""

Finding = tuple[str, Saying]


def filled(document: dict[str, Any], here: SideName | None) -> dict[str, Any]:
    """The document with what need not be written of the side that runs elsewhere."""
    table = document.get(OTHER[here]) if here is not None else None
    if here is None or not isinstance(table, dict):
        return document
    other = {**_UNKNOWN, **table}
    if isinstance(uppers := other.get("upper"), list):
        other["upper"] = [{"host": "", **upper} if isinstance(upper, dict) else upper for upper in uppers]
    return {**document, OTHER[here]: other}


def check_link(config: "Config", here: SideName | None) -> Iterator[Finding]:
    """What is wrong with the link, where one side alone runs here."""
    link = config.link
    if here is None:
        return
    for name, address in (("outer", link.outer), ("inner", link.inner)):
        if not address:
            yield f"link.{name}", saying("config.link_address", side=name)
        elif not _is_address(address):
            yield f"link.{name}", saying("config.address", text=address)
    if link.outer and link.outer == link.inner:
        yield "link.inner", saying("config.link_same", address=link.inner)
    yield from _check_files(config, here)


def _check_files(config: "Config", here: SideName) -> Iterator[Finding]:
    folder = Path(config.link.certs)
    identity = Identity(here, config.outer.id if here == "outer" else config.inner.id)
    try:
        own = read_trust(folder, here).own
    except OSError as error:
        file = str(error.filename or folder)
        yield "link.certs", saying("config.link_file", file=file, reason=reason(error), side=here)
        return
    except NotOurs as error:
        what = saying("config.link_files", folder=str(folder), reason=recognised(str(error)), side=here)
        yield "link.certs", what
        return
    if own.identity != identity:
        what = saying("config.link_identity", found=str(own.identity), wanted=str(identity))
        yield "link.certs", what
    if out_of_time(own, at(time.time())) is not None:
        since, until = (moment.strftime("%Y-%m-%d") for moment in (own.since, own.until))
        yield "link.certs", saying("config.link_time", since=since, until=until)


def odd_link(config: "Config", here: SideName | None) -> Iterator[Finding]:
    link = config.link
    if here is None:
        if link.outer or link.inner:
            yield "link", saying("config.link_unused")
        return
    folder = Path(link.certs)
    if (folder / shelf.AUTHORITY_KEY).exists():
        yield "link.certs", saying("config.link_authority", file=str(folder / shelf.AUTHORITY_KEY))
    if (folder / shelf.key_of(OTHER[here])).exists():
        yield "link.certs", saying("config.link_other_key", file=str(folder / shelf.key_of(OTHER[here])))
    key = folder / shelf.key_of(here)
    if key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield "link.certs", saying("config.link_key_open", file=str(key))


def _is_address(text: str) -> bool:
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False
