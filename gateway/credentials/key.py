"""The key of the sealed secrets: 64 hex digits in a file that nobody else may read."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from gateway.credentials.sealed import KEY_BYTES
from gateway.words import Told, saying
from gateway.words.system import reason


class SecretsUnusable(Told):
    """The store of the secrets, or its key, cannot be used; it says why and what to do."""


def read_key(path: Path, store: Path) -> bytes:
    """Raises SecretsUnusable: it is not there, not a key, or others can read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except FileNotFoundError:
        raise SecretsUnusable(saying("secrets.no_key", key=str(path), store=str(store))) from None
    except OSError as error:
        raise SecretsUnusable(saying("secrets.key_unreadable", key=str(path), reason=reason(error))) from None
    if stat.S_IMODE(mode) & 0o077:
        raise SecretsUnusable(saying("secrets.key_open", key=str(path)))
    with suppress(ValueError):
        key = bytes.fromhex(text.decode("ascii").strip())
        if len(key) == KEY_BYTES:
            return key
    raise SecretsUnusable(saying("secrets.no_such_key", key=str(path)))


def make_key(path: Path) -> bytes:
    """A new one, in a file that was not there before. Raises SecretsUnusable."""
    key = os.urandom(KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SecretsUnusable(saying("secrets.key_unwritable", key=str(path), reason=reason(error))) from None
    return key
