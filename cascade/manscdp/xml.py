"""Reading and writing the XML of a body: one hardened reader, one plain writer.

The reader takes text that we decoded ourselves, without its declaration, since declarations lie
(Q24). Nothing legitimate has a DTD, so `<!` before the root refuses the body; entities, network
access and external files are off besides.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final, Literal
from xml.sax.saxutils import escape

from lxml import etree

from cascade.errors import BadCommand
from cascade.manscdp._native import decode, encode, mend

ROOTS: Final = frozenset({"query", "control", "notify", "response"})

MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 20_000
MAX_ATTRIBUTES: Final = 16
MAX_NAME: Final = 64
MAX_TEXT: Final = 4096
"""Bytes of UTF-8 in one text."""

_DECLARATION: Final = re.compile(r"<\?xml\s[^>]*>")
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_KEPT: Final = {"\r": "&#13;"}  # a reader would make it a line feed


def recoded(body: bytes, charset: Literal["auto", "GB18030", "UTF-8"]) -> bytes:
    """The body as UTF-8 with its mark, from the charset that it is known to be in; as it is for "auto"."""
    if charset == "auto":
        return body
    return b"\xef\xbb\xbf" + body.removeprefix(b"\xef\xbb\xbf").decode(charset, "replace").encode()


def read_root(body: bytes) -> etree._Element:
    """The root of a body, within limits.

    What is not well-formed is repaired where that needs no guess about its meaning (Q21, Q22, Q23).

    Raises:
        BadCommand: anything else. No other exception leaves this function, whatever the bytes
            (tests/cascade/test_xml.py::test_any_bytes_have_a_root_or_blame_the_peer).
    """
    text = decode(body)[0].lstrip("\ufeff \t\r\n")
    if declaration := _DECLARATION.match(text):
        text = text[declaration.end() :].lstrip(" \t\r\n")
    if not re.match("<[A-Za-z]", text):
        raise BadCommand("no root, or a DTD, comment or instruction before it")
    root = _parse(text)
    _check(root)
    return root


def _parse(text: str) -> etree._Element:
    try:
        return _parse_strictly(text)
    except (etree.XMLSyntaxError, ValueError) as error:
        mended, places = mend(text)
        if not places:
            raise BadCommand(f"not well-formed: {error}") from None
    try:
        return _parse_strictly(mended)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadCommand(f"beyond repair: {error}") from None


def _parse_strictly(text: str) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_pis=True,
        remove_comments=True,
        collect_ids=False,
    )
    return etree.fromstring(text.encode(), parser)


def _check(root: etree._Element) -> None:
    """Raise BadCommand for what no command needs."""
    if local_name(root) not in ROOTS:
        raise BadCommand(f"root {str(root.tag)[:32]!r}")
    pending = [(root, 1)]
    elements = 0
    while pending:
        element, depth = pending.pop()
        elements += 1
        if elements > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise BadCommand("too many elements, or nested too deep")
        if not isinstance(element.tag, str) or len(local_name(element)) > MAX_NAME:
            raise BadCommand("an entity, or an unfit name")
        texts = [element.text or "", element.tail or "", *map(str, element.attrib.values())]
        if len(element.attrib) > MAX_ATTRIBUTES or any(len(text.encode()) > MAX_TEXT for text in texts):
            raise BadCommand("too many attributes, or a text that is too long")
        pending += [(child, depth + 1) for child in element]


def local_name(element: etree._Element) -> str:
    """Name without namespace, in lower case: both vary among vendors."""
    return str(element.tag).rpartition("}")[2].lower()


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Children of that name, in any case."""
    wanted = name.lower()
    return [child for child in element if local_name(child) == wanted]


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first child of that name, in any case; the first counts for every reader here."""
    return next(iter(children(element, name)), None)


def text_of(element: etree._Element, name: str) -> str:
    """Trimmed text of the first child of that name; "" where it is missing or empty (Q20, Q33)."""
    found = child(element, name)
    return "" if found is None else (found.text or "").strip()


def element(name: str, text: str) -> str:
    """One element on a line of its own; what XML can't hold is left out."""
    return f"<{name}>{escape(_FORBIDDEN.sub('', text), _KEPT)}</{name}>\r\n"


def write(root: str, elements: Iterable[str], *, charset: str) -> bytes:
    """A body of what `element` made.

    Raises:
        ValueError: a charset that we don't write.
    """
    parts = ("\r\n", *islice(elements, MAX_ELEMENTS))
    text = f'<?xml version="1.0" encoding="{charset}"?>\r\n<{root}>{"".join(parts)}</{root}>\r\n'
    return encode(text, charset)
