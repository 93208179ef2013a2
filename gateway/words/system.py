"""What the operating system says, in the operator's language as far as it is common."""

import errno
from typing import Final

from gateway.words import Saying, saying

KNOWN: Final = {
    errno.ENOENT: saying("system.absent"),
    errno.EACCES: saying("system.forbidden"),
    errno.EPERM: saying("system.not_permitted"),
    errno.EISDIR: saying("system.folder"),
    errno.ENOTDIR: saying("system.no_folder"),
    errno.ENOSPC: saying("system.full"),
    errno.EROFS: saying("system.read_only"),
}


def reason(error: OSError) -> Saying:
    known = KNOWN.get(error.errno or 0)
    return known or saying("system.other", text=error.strerror or str(error))
