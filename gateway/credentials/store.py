"""The secrets of all peers in one sealed file, which is replaced as a whole by whoever holds its lock.

A reader finds an old one or a new one, never a half.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from cascade.credential import Credential
from certs.identities import SideName
from gateway.credentials.key import SecretsUnusable, make_key, read_key
from gateway.credentials.sealed import CutOff, Damaged, NotSealed, WrongKey, opened, seal
from gateway.words import saying
from gateway.words.system import reason

MAX_BYTES: Final = 512 * 1024 * 1024


class Holder(Struct, frozen=True, order=True):
    """Whose secret: a peer below us of one side, or one above. A box that is both has two (Q98)."""

    side: SideName
    above: bool
    peer: str


class Place(Struct, frozen=True):
    """Where the sealed secrets are, and their key."""

    store: Path
    key: Path


class _Entry(Struct, frozen=True, array_like=True):
    side: SideName
    above: bool
    peer: str
    user: str
    realm: str
    since: int
    hashes: bytes


_read: Final = msgspec.msgpack.Decoder(list[_Entry]).decode
_write: Final = msgspec.msgpack.Encoder().encode


def read(place: Place) -> dict[Holder, Credential]:
    """All that are kept; none where there is no store yet. Raises SecretsUnusable."""
    try:
        with place.store.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = reason(error)
        raise SecretsUnusable(saying("secrets.unreadable", store=str(place.store), reason=why)) from None
    if len(data) > MAX_BYTES:
        raise SecretsUnusable(saying("secrets.no_store", store=str(place.store)))
    return _entries(place, data)


def _entries(place: Place, data: bytes) -> dict[Holder, Credential]:
    store = str(place.store)
    try:
        content = opened(data, read_key(place.key, place.store))
        entries = _read(content)
    except NotSealed:
        raise SecretsUnusable(saying("secrets.no_store", store=store)) from None
    except CutOff as error:
        what = saying("secrets.cut_off", store=store, wanted=error.wanted, found=error.found)
        raise SecretsUnusable(what) from None
    except WrongKey:
        raise SecretsUnusable(saying("secrets.wrong_key", store=store, key=str(place.key))) from None
    except (Damaged, msgspec.MsgspecError):
        raise SecretsUnusable(saying("secrets.damaged", store=store)) from None
    found = {
        Holder(one.side, one.above, one.peer): Credential(one.user, one.realm, one.since, one.hashes)
        for one in entries
    }
    if not all(credential.sound for credential in found.values()):
        raise SecretsUnusable(saying("secrets.damaged", store=store))
    return found


@contextmanager
def changing(place: Place) -> Iterator[dict[Holder, Credential]]:
    """All that are kept, to be changed: they are written when the context ends without an error.

    Nobody else changes them meanwhile. The first change makes the key. Raises SecretsUnusable.
    """
    try:
        place.store.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{place.store}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(place, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = read(place)
        before = dict(kept)
        yield kept
        if kept != before:
            _replace(place, kept)
    finally:
        os.close(lock)


def replace(place: Place, kept: Mapping[Holder, Credential]) -> None:
    """Keep these and no others. Raises SecretsUnusable."""
    with changing(place) as found:
        found.clear()
        found.update(kept)


def _replace(place: Place, kept: Mapping[Holder, Credential]) -> None:
    fresh = not place.store.exists() and not place.key.exists()
    key = make_key(place.key) if fresh else read_key(place.key, place.store)
    entries = [
        _Entry(holder.side, holder.above, holder.peer, one.user, one.realm, one.since, one.hashes)
        for holder, one in sorted(kept.items())
    ]
    new = place.store.with_name(f"{place.store.name}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(seal(_write(entries), key))
            file.flush()
            os.fsync(file.fileno())
        new.replace(place.store)
    except OSError as error:
        raise _unwritable(place, error) from None


def _unwritable(place: Place, error: OSError) -> SecretsUnusable:
    return SecretsUnusable(saying("secrets.unwritable", store=str(place.store), reason=reason(error)))
