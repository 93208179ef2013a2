"""What one audit record says of a crossing: whom it is from, what it names, what was decided.

Rows are counted, never listed. Names beyond `MAX_SUBJECTS` are counted. What is shown of a value follows
from its type alone, so a command added tomorrow needs no edit here; the writing itself is native.
"""

from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from cascade.crossing import CatalogBatch, Crossing, Direction
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows
from cascade.model.secret import Secret
from cascade.ports import Verdict
from gateway.chamber._native import Scribe

MAX_SUBJECTS: Final = 64
"""Names listed in one record; the rest are counted."""
MAX_USERS: Final = 16
"""And the items listed of any other list."""
MAX_TEXT: Final = 128

Door = Literal["send", "receive"]

_ENVELOPE: Final = frozenset({"correlation", "origin", "users", "seconds_left", "action", "rows"})
"""Fields that have keys of their own in a record."""


class Post(NamedTuple):
    """Where a record is written."""

    side: str
    door: Door
    direction: Direction


class Plan(NamedTuple):
    """How the values of one type stand in a record."""

    name: str
    action: str | None  # None: a field says it
    rows: bool  # is it a batch of rows?
    way: str  # how it stands among the details
    named: str  # what of it is a name
    fields: tuple[str, ...]
    shown: tuple[str, ...]  # those that say what a crossing is about


def plan(kind: type) -> Plan:
    fields: tuple[str, ...] = getattr(kind, "__struct_fields__", ()) if issubclass(kind, Struct) else ()
    return Plan(
        name=kind.__name__,
        action=_action(kind, fields),
        rows=issubclass(kind, CatalogBatch),
        way=_way(kind),
        named=_named(kind),
        fields=fields,
        shown=tuple(field for field in fields if field not in _ENVELOPE),
    )


def _action(kind: type, fields: tuple[str, ...]) -> str | None:
    """The name by which rules know it: of its payload, of its media, or of what has no rule."""
    if issubclass(kind, CatalogBatch):
        return "catalog.rows"
    return None if "action" in fields else str(getattr(kind, "action", "stream.ended"))


def _way(kind: type) -> str:
    found = {
        Secret: "masked",
        str: "text",
        bool: "truth",
        int: "number",
        float: "float",
        type(None): "nothing",
        Rows: "length",
        tuple: "list",
        list: "list",
        Struct: "parts",
    }
    return next((way for of, way in found.items() if issubclass(kind, of)), "other")


def _named(kind: type) -> str:
    found = {ChannelId: "channel", PlatformId: "name", tuple: "items", Struct: "parts"}
    return next((named for of, named in found.items() if issubclass(kind, of)), "")


def scribe() -> Scribe:
    """One for each audit: it is no thread's but its caller's."""
    return Scribe(plan, msgspec.json.encode, MAX_SUBJECTS, MAX_USERS, MAX_TEXT)


def describe(crossing: Crossing, verdict: Verdict, post: Post) -> dict[str, Any]:
    """What the record of a crossing says, without its place in the chain."""
    told, _ = scribe().tell(crossing, verdict, post)
    entry: dict[str, Any] = msgspec.json.decode(told)
    return entry


def describe_head(
    action: str, target: ChannelId, origin: PlatformId, refusal: Verdict, post: Post
) -> dict[str, Any]:
    """As `describe`, of a request that was refused by its head: what it wanted in detail was not read."""
    return {
        **post._asdict(),
        "kind": "Head",
        "action": action,
        "origin": str(origin),
        "subjects": [str(target)],
        "verdict": "refused",
        "rule": refusal.rule,
    }
