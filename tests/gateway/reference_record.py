"""What a record says of a crossing, written out in Python: the second opinion on the native scribe."""

from typing import Any

from msgspec import Struct

from cascade.crossing import CatalogBatch, Crossing
from cascade.model.commands import subjects
from cascade.model.ids import ChannelId
from cascade.model.index import Rows
from cascade.model.secret import MASK, Secret
from cascade.ports import Verdict
from gateway.chamber.record import MAX_SUBJECTS, MAX_TEXT, MAX_USERS, Post

ENVELOPE = {"correlation", "origin", "users", "seconds_left", "action", "rows"}


def described(crossing: Crossing, verdict: Verdict, post: Post) -> dict[str, Any]:
    about = getattr(crossing, "payload", crossing)
    shown = [field for field in type(about).__struct_fields__ if field not in ENVELOPE]
    values = {field: getattr(about, field) for field in shown}
    named = list(dict.fromkeys(str(name) for value in values.values() for name in subjects(value)))
    entry: dict[str, Any] = {
        **post._asdict(),
        "kind": type(crossing).__name__,
        "action": getattr(about, "action", "stream.ended"),
        "origin": str(crossing.origin),
        "users": [user[:MAX_TEXT] for user in crossing.users[:MAX_USERS]],
        "correlation": crossing.correlation,
        "subjects": named[:MAX_SUBJECTS],
        "verdict": "refused" if verdict.passes is None else "passed",
        "rule": verdict.rule,
        "details": {field: _plain(value) for field, value in values.items() if type(value) is not ChannelId},
    }
    if len(named) > MAX_SUBJECTS:
        entry["subjects_not_listed"] = len(named) - MAX_SUBJECTS
    if isinstance(crossing, CatalogBatch):
        passed = verdict.passes
        entry["action"] = "catalog.rows"
        entry["rows"] = len(crossing.rows)
        entry["rows_passed"] = len(passed.rows) if isinstance(passed, CatalogBatch) else 0
        entry["rows_refused"] = verdict.refused
    return entry


def _plain(value: Any) -> Any:
    match value:
        case Secret():
            return MASK
        case str():
            return str(value)[:MAX_TEXT]
        case bool() | int() | float() | None:
            return value
        case Rows():
            return len(value)
        case tuple() | list():
            return [_plain(part) for part in value[:MAX_USERS]]
        case Struct():
            return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        case _:
            return str(value)[:MAX_TEXT]
