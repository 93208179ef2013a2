"""What the operating system and the database say, in the operator's language as far as it is common."""

import errno
import re
import sqlite3
from typing import Final

from gateway.words import Saying, saying

KNOWN: Final = {
    errno.ENOENT: saying("system.absent"),
    errno.EACCES: saying("system.forbidden"),
    errno.EPERM: saying("system.not_permitted"),
    errno.EISDIR: saying("system.folder"),
    errno.ENOTDIR: saying("system.no_folder"),
    errno.ENOSPC: saying("system.full"),
    errno.EDQUOT: saying("system.quota"),
    errno.EFBIG: saying("system.too_large"),
    errno.EROFS: saying("system.read_only"),
    errno.EIO: saying("system.input_output"),
    errno.EMFILE: saying("system.files"),
    errno.ENFILE: saying("system.files"),
    errno.ENOMEM: saying("system.memory"),
    errno.ENOBUFS: saying("system.buffers"),
    errno.EADDRINUSE: saying("system.in_use"),
    errno.EADDRNOTAVAIL: saying("system.not_ours"),
    errno.ENETUNREACH: saying("system.network"),
    errno.EHOSTUNREACH: saying("system.host"),
    errno.ECONNREFUSED: saying("system.refused"),
    errno.ECONNRESET: saying("system.reset"),
    errno.EPIPE: saying("system.pipe"),
    errno.EMSGSIZE: saying("system.datagram"),
}

DATABASE: Final = {
    sqlite3.SQLITE_PERM: saying("system.forbidden"),
    sqlite3.SQLITE_BUSY: saying("system.database_busy"),
    sqlite3.SQLITE_READONLY: saying("system.database_read_only"),
    sqlite3.SQLITE_IOERR: saying("system.input_output"),
    sqlite3.SQLITE_CORRUPT: saying("system.database_damaged"),
    sqlite3.SQLITE_FULL: saying("system.full"),
    sqlite3.SQLITE_CANTOPEN: saying("system.database_unopened"),
    sqlite3.SQLITE_NOTADB: saying("system.database_other"),
}
"""By the primary result code, the low byte of what an error carries."""


_OF_RUST: Final = re.compile(r"(.*) \(os error (\d+)\)", re.DOTALL)
"""An error of the operating system, as Rust writes it."""


def reason(error: OSError | sqlite3.Error) -> Saying:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)  # an error of the module itself has none
        return DATABASE.get(code & 0xFF) or saying("system.other", text=str(error))
    if error.errno is None:
        return of_rust(str(error)) or saying("system.other", text=str(error))
    return KNOWN.get(error.errno) or saying("system.other", text=error.strerror or str(error))


def of_rust(text: str) -> Saying | None:
    """What `text` says, where it is such an error."""
    found = _OF_RUST.fullmatch(text)
    return KNOWN.get(int(found[2])) or saying("system.other", text=found[1]) if found else None
