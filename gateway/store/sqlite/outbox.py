"""Letters in `state.db`: alarms that are kept for the other side or an upper until they have arrived.

Each change is one transaction that survives the machine (decision 017).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from cascade.model.commands.alarm import Alarm
from cascade.outbox import WINDOW, Letter
from gateway.store.sqlite.writer import Database, Statement

KEEP: Final = "INSERT OR IGNORE INTO letter (addressee, number, kept_at, alarm) VALUES (?, ?, ?, ?)"
FORGET: Final = "DELETE FROM letter WHERE addressee = ? AND number = ?"
TAKE: Final = "INSERT OR IGNORE INTO took (number) VALUES (?)"
NEWEST: Final = "DELETE FROM took WHERE made <= (SELECT max(made) FROM took) - ?"


def letters(database: Database) -> list[Letter]:
    found = database.reading.execute("SELECT addressee, kept_at, alarm FROM letter ORDER BY made")
    return [
        Letter(to=addressee, kept_at=kept_at, alarm=_decoder.decode(alarm))
        for addressee, kept_at, alarm in found
    ]


def taken(database: Database) -> list[int]:
    return [number for (number,) in database.reading.execute("SELECT number FROM took ORDER BY made")]


async def keep(
    database: Database, kept: Sequence[Letter], gone: Sequence[Letter], *, taken: Sequence[int]
) -> bool:
    """As `cascade.ports.Store.keep`."""
    statements: list[Statement] = [
        (KEEP, [(each.to, each.number, each.kept_at, _encoder.encode(each.alarm).decode()) for each in kept]),
        (FORGET, [(each.to, each.number) for each in gone]),
        (TAKE, [(number,) for number in taken]),
        (NEWEST, [(WINDOW,)] if taken else []),
    ]
    return await database.written("alarms that are kept", *statements)


def _written(value: object) -> object:
    if isinstance(value, str):
        return str(value)  # msgspec writes no subclass of str
    raise TypeError(f"{type(value).__name__} is in no alarm")


def _read(kind: type[Any], value: object) -> object:
    return kind(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=_written)
_decoder: Final = msgspec.json.Decoder(Alarm, dec_hook=_read)
