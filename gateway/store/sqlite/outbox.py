"""Letters in `state.db`: alarms that are kept for the other side or an upper until they have arrived.

Each change is one transaction that survives the machine (decision 017).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from cascade.model.commands.alarm import Alarm
from cascade.outbox import Letter
from gateway.store.sqlite.writer import Database, Statement

KEEP: Final = "INSERT OR IGNORE INTO letter (addressee, number, kept_at, alarm) VALUES (?, ?, ?, ?)"
FORGET: Final = "DELETE FROM letter WHERE addressee = ? AND number = ?"
TAKE: Final = "INSERT OR REPLACE INTO taken (one, number) VALUES (1, ?)"


def letters(database: Database) -> list[Letter]:
    found = database.reading.execute("SELECT addressee, kept_at, alarm FROM letter ORDER BY made")
    return [
        Letter(to=addressee, kept_at=kept_at, alarm=_decoder.decode(alarm))
        for addressee, kept_at, alarm in found
    ]


def taken(database: Database) -> int:
    found = database.reading.execute("SELECT number FROM taken").fetchone()
    return 0 if found is None else int(found[0])


async def keep(
    database: Database, kept: Sequence[Letter], gone: Sequence[Letter], *, taken: int | None
) -> bool:
    """As `cascade.ports.Store.keep`."""
    statements: list[Statement] = [
        (KEEP, [(each.to, each.number, each.kept_at, _encoder.encode(each.alarm).decode()) for each in kept]),
        (FORGET, [(each.to, each.number) for each in gone]),
        (TAKE, [] if taken is None else [(taken,)]),
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
