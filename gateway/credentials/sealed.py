"""A file whose content only the holder of a key can read, or change without being noticed (AES-256-GCM).

Behind the first line: a mark of the key, the length of the whole, a number used once, the sealed content. The
mark tells a wrong key from a damaged file, the length a file that was cut off from one that was changed.
"""

import hashlib
import hmac
import os
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_FIRST_LINE: Final = b"LOCKGATE SECRETS 1\n"
_HEAD: Final = struct.Struct(f">{len(_FIRST_LINE)}s8sQ12s")


class NotSealed(Exception):
    """It is another kind of file."""


class CutOff(Exception):
    """Bytes are missing, or there are too many."""

    def __init__(self, wanted: int, found: int) -> None:
        super().__init__(f"{found} bytes instead of {wanted}")
        self.wanted = wanted
        self.found = found


class WrongKey(Exception):
    """It was sealed with another key."""


class Damaged(Exception):
    """It is not what was sealed with this key."""


def seal(content: bytes, key: bytes) -> bytes:
    """`content` as a file. The same content never looks the same."""
    nonce = os.urandom(12)
    length = _HEAD.size + len(content) + 16
    head = _HEAD.pack(_FIRST_LINE, _mark(key), length, nonce)
    return head + AESGCM(key).encrypt(nonce, content, head)


def opened(data: bytes, key: bytes) -> bytes:
    """What was sealed. Raises NotSealed, CutOff, WrongKey or Damaged, and nothing else."""
    if data[: len(_FIRST_LINE)] != _FIRST_LINE[: len(data)]:
        raise NotSealed
    if len(data) < _HEAD.size:
        raise CutOff(_HEAD.size, len(data))
    _, mark, length, nonce = _HEAD.unpack_from(data)
    if length != len(data):
        raise CutOff(length, len(data))
    if not hmac.compare_digest(mark, _mark(key)):
        raise WrongKey
    try:
        return AESGCM(key).decrypt(nonce, data[_HEAD.size :], data[: _HEAD.size])
    except InvalidTag:
        raise Damaged from None


def _mark(key: bytes) -> bytes:
    return hmac.digest(key, b"which key", hashlib.sha256)[:8]
