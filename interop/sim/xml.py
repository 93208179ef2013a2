"""MANSCDP bodies of the simulators (GB/T 28181-2016 annex A), read and written by hand."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

CONTENT_TYPE: Final = "Application/MANSCDP+xml"
CHARSETS: Final = {"GB2312": "gb18030", "GBK": "gb18030", "GB18030": "gb18030", "UTF-8": "utf-8"}

_DECLARED: Final = re.compile(rb"""<\?xml[^>]*encoding=["']([\w.-]+)["']""")
_DECLARATION: Final = re.compile(r"^\s*<\?xml.*?\?>", re.DOTALL)
_ROOTS: Final = frozenset({"Control", "Query", "Notify", "Response"})

Fields = Sequence[tuple[str, str | Sequence[tuple[str, str]]]]
"""Elements in order; a value is text, or elements of its own."""


@dataclass(frozen=True, slots=True)
class Message:
    """The head every body has, and its tree."""

    root: str
    cmd_type: str
    sn: str
    device_id: str
    tree: ElementTree.Element

    def text(self, path: str) -> str:
        return self.tree.findtext(path, "").strip()


def read(body: bytes) -> Message | None:
    """None when it is no MANSCDP body. Text by what it declares, GB 18030 where it declares nothing."""
    found = _DECLARED.match(body)
    declared = found.group(1).decode("ascii", "replace").upper() if found else "GB2312"
    text = body.decode(CHARSETS.get(declared, "utf-8"), "replace")
    if "<!" in text.partition("<CmdType")[0]:
        return None
    try:
        tree = ElementTree.fromstring(_DECLARATION.sub("", text, count=1))
    except ElementTree.ParseError:
        return None
    cmd_type, sn, device_id = (tree.findtext(tag, "").strip() for tag in ("CmdType", "SN", "DeviceID"))
    if tree.tag not in _ROOTS or not cmd_type:
        return None
    return Message(tree.tag, cmd_type, sn, device_id, tree)


def write(root: str, cmd_type: str, sn: int | str, device_id: str, rest: str = "", *, charset: str) -> bytes:
    """A whole body. `rest` is XML already: what `elements` and `device_list` make; "" leaves DeviceID out."""
    head = elements([("CmdType", cmd_type), ("SN", str(sn)), ("DeviceID", device_id)])
    return _whole(root, head + rest, charset)


def broadcast(sn: int, source: str, target: str, *, charset: str) -> bytes:
    """The notice that a voice of `source` is to be fetched for `target` (9.12); it has no DeviceID."""
    fields = [("CmdType", "Broadcast"), ("SN", str(sn)), ("SourceID", source), ("TargetID", target)]
    return _whole("Notify", elements(fields), charset)


def _whole(root: str, inner: str, charset: str) -> bytes:
    text = f'<?xml version="1.0" encoding="{charset}"?>\r\n<{root}>\r\n{inner}</{root}>\r\n'
    return text.encode(CHARSETS[charset], "xmlcharrefreplace")


def elements(fields: Fields) -> str:
    """One element a line, escaped. An element without text is left out."""
    lines = []
    for tag, value in fields:
        if isinstance(value, str):
            if value:
                lines.append(f"<{tag}>{escape(value)}</{tag}>\r\n")
        elif inner := elements(value):
            lines.append(f"<{tag}>\r\n{inner}</{tag}>\r\n")
    return "".join(lines)


def device_list(items: Sequence[Fields]) -> str:
    body = "".join(f"<Item>\r\n{elements(item)}</Item>\r\n" for item in items)
    return f'<DeviceList Num="{len(items)}">\r\n{body}</DeviceList>\r\n'


def items(message: Message) -> Iterable[Mapping[str, str]]:
    """The items of a list page: text of every element by tag, those inside Info included."""
    for item in message.tree.iterfind("DeviceList/Item"):
        yield {
            element.tag: (element.text or "").strip()
            for element in item.iter()
            if (element.text or "").strip()
        }
