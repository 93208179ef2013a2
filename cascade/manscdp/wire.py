"""A command's wire form as a table, from which reading and writing come (GB/T 28181-2016 annex A)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from lxml import etree

from cascade.errors import BadCommand
from cascade.manscdp import xml
from cascade.model.commands import Command
from cascade.model.ids import ChannelId, PeerName, PlatformId

C = TypeVar("C", bound=Command)


class Names(Protocol):
    """Turns what one peer calls things into our keys, and back."""

    def key(self, name: PeerName) -> ChannelId:
        """Raises ValueError for a name that means nothing to us."""
        ...

    def name(self, channel: ChannelId) -> str:
        """What the peer calls `channel`. Raises ValueError where it has no name for it."""
        ...


@dataclass(frozen=True, slots=True)
class NamesOf:
    """The names of a peer below us: its own."""

    peer: PlatformId

    def key(self, name: PeerName) -> ChannelId:
        return ChannelId(self.peer, name)

    def name(self, channel: ChannelId) -> str:
        if channel.peer != self.peer:
            raise ValueError(f"{channel} is not of {self.peer}")
        return channel.name


@dataclass(frozen=True, slots=True)
class Converter:
    """Text of an element to a value and back. `read` raises ValueError, and never gets ""."""

    read: Callable[[str, Names], object]
    write: Callable[[Any, Names], str]


@dataclass(frozen=True, slots=True)
class Element:
    """One element and the field it fills. A value of None or "" is not written."""

    tag: str
    field: str
    convert: Converter
    required: bool = False  # a bad or missing value costs the message, not only the field


@dataclass(frozen=True, slots=True)
class Wire(Generic[C]):
    """`elements` stand in the order of the schema, behind CmdType and SN: the order of writing."""

    meaning: type[C]
    root: str
    cmd_type: str
    elements: tuple[Element, ...]

    def read(self, body: bytes, names: Names) -> C:
        """What the body says; a bad optional value reads as absent.

        Raises:
            BadCommand: not such a command, or a required value is bad.
        """
        root = xml.read_root(body)
        if xml.local_name(root) != self.root.lower() or xml.text_of(root, "CmdType") != self.cmd_type:
            raise BadCommand(f"not a {self.root} of {self.cmd_type}")
        return self.read_element(root, names)

    def read_element(self, root: etree._Element, names: Names) -> C:
        """As `read`, of a root whose command is known."""
        values: dict[str, object] = {}
        for element in self.elements:
            try:
                text = xml.text_of(root, element.tag)
                if text:
                    values[element.field] = element.convert.read(text, names)
                elif element.required:
                    raise ValueError("missing")
            except ValueError as error:
                if element.required:
                    raise BadCommand(f"{element.tag}: {error}") from None
        return self.meaning(**values)

    def write(self, meaning: C, *, sn: int | str, names: Names, charset: str = "GB2312") -> bytes:
        """The body.

        Raises:
            ValueError: `names` has none for a channel in it, or we don't write that charset.
        """
        parts = [xml.element("CmdType", self.cmd_type), xml.element("SN", str(sn))]
        for element in self.elements:
            value = getattr(meaning, element.field)
            text = "" if value is None else element.convert.write(value, names)
            if text:
                parts.append(xml.element(element.tag, text))
        return xml.write(self.root, parts, charset=charset)


def choice(values: Mapping[str, object]) -> Converter:
    """One of a few words, read in any case. Several words may mean the same: the first is written."""
    read = {word.upper(): value for word, value in values.items()}
    written = {value: word for word, value in reversed(tuple(values.items()))}

    def reader(text: str, _names: Names) -> object:
        if text.upper() not in read:
            raise ValueError(f"not one of {', '.join(values)}: {text[:32]!r}")
        return read[text.upper()]

    return Converter(reader, lambda value, names: written[value])


def _number(text: str, _names: Names) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"not a number: {text[:32]!r}")
    return int(text)


def _text(text: str, _names: Names) -> str:
    if text.lower() == "null":
        raise ValueError("a placeholder")  # Q31
    return text


TEXT: Final = Converter(_text, lambda value, names: str(value))
NUMBER: Final = Converter(_number, lambda value, names: str(value))
CHANNEL: Final = Converter(
    lambda text, names: names.key(PeerName(text)), lambda value, names: names.name(value)
)
RESULT: Final = choice({"OK": "ok", "ERROR": "error"})
SWITCH: Final = choice({"ON": True, "OFF": False})
