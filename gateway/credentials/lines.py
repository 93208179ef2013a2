"""Secrets as people hand them over: comma-separated values, or the secrets file of earlier versions.

Of a CSV file each line stands for itself. Columns are `peer` and `password`, and where a first line names
them `user` and `side` too. A line that cannot be read costs itself alone.
"""

import codecs
import csv
import tomllib
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from cascade.model.secret import Secret
from gateway.words import Saying, saying

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_LINE: Final = 1024
MAX_LINES: Final = 1_000_000
MAX_PASSWORD: Final = 128
COLUMNS: Final = ("peer", "password", "user", "side")


class Line(Struct, frozen=True):
    """One secret as it was handed over; `user` and `side` are "" where it does not say."""

    number: int
    peer: str
    password: Secret
    user: str = ""
    side: str = ""


class Unreadable(Struct, frozen=True):
    """A line that says nothing."""

    number: int
    why: Saying


def bad_password(password: str) -> Saying | None:
    """What is wrong with it; None where it may be one."""
    if not password:
        return saying("secret.empty")
    if len(password) > MAX_PASSWORD:
        return saying("secret.too_long", most=MAX_PASSWORD)
    return None if password.isprintable() else saying("secret.unprintable")


def text_of(data: bytes) -> str:
    """UTF-8, or GB18030 as tables of Chinese offices are saved. Raises UnicodeDecodeError."""
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("gb18030")


def of_csv(text: str) -> Iterator[Line | Unreadable]:
    columns: tuple[str, ...] = COLUMNS[:2]
    first = True
    for number, line in enumerate(text.split("\n"), start=1):
        if number > MAX_LINES:
            yield Unreadable(number, saying("secret.too_many", most=MAX_LINES))
            return
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            yield Unreadable(number, saying("secret.long_line", most=MAX_LINE))
            continue
        try:
            [cells] = csv.reader([line.removesuffix("\r")], strict=True)
        except (csv.Error, ValueError):
            yield Unreadable(number, saying("secret.no_csv"))
            continue
        names = tuple(cell.strip().lower() for cell in cells)
        if first and {"peer", "password"} <= set(names) <= set(COLUMNS):
            columns = names
        else:
            yield _of_cells(number, columns, cells)
        first = False


def _of_cells(number: int, columns: tuple[str, ...], cells: list[str]) -> Line | Unreadable:
    if len(cells) != len(columns):
        return Unreadable(number, saying("secret.cells", found=len(cells), wanted=", ".join(columns)))
    given = dict(zip(columns, cells, strict=True))
    if why := bad_password(given["password"]):
        return Unreadable(number, why)
    rest = {name: value.strip() for name, value in given.items() if name != "password"}
    return Line(number, password=Secret(given["password"]), **rest)


def of_toml(text: str) -> Iterator[Line | Unreadable]:
    """Of `[outer.passwords]` and `[inner.passwords]`. Raises tomllib.TOMLDecodeError."""
    document = tomllib.loads(text)
    numbers: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        numbers.setdefault(line.partition("=")[0].strip().strip("\"'"), number)
    for side in ("outer", "inner"):
        table = document.get(side)
        passwords = table.get("passwords") if isinstance(table, dict) else None
        for peer, password in passwords.items() if isinstance(passwords, dict) else ():
            number = numbers.get(peer, 0)
            why = bad_password(password) if isinstance(password, str) else saying("secret.empty")
            if why is not None:
                yield Unreadable(number, why)
            else:
                yield Line(number, peer, Secret(password), side=side)
