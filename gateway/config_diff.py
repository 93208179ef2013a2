"""What differs between two lists of rules, before one takes the place of the other."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from cascade.crossing import Direction
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from gateway.chamber.policy import CATALOG_ROWS, CompiledRules
from gateway.chamber.rules import Rule


class RuleChanges(Struct, frozen=True):
    """By the ids of the rules."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    moved: tuple[str, ...]
    """Not in the same order as the others that stay: each has another rule right above it among these."""

    @property
    def any(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)


class RowChanges(Struct, frozen=True):
    """Rows of one peer that two rule lists decide differently about. `examples`: of each the first."""

    peer: PlatformId
    shown: int
    hidden: int
    examples: tuple[str, str]


def changed_rules(before: Sequence[Rule], after: Sequence[Rule]) -> RuleChanges:
    old, new = {rule.id: rule for rule in before}, {rule.id: rule for rule in after}
    was_above, is_above = _above(before, new.keys()), _above(after, old.keys())
    return RuleChanges(
        added=tuple(id for id in new if id not in old),
        removed=tuple(id for id in old if id not in new),
        changed=tuple(id for id in new if id in old and old[id] != new[id]),
        moved=tuple(id for id in is_above if was_above[id] != is_above[id]),
    )


def _above(rules: Sequence[Rule], stay: Collection[str]) -> dict[str, str]:
    """Of each rule that stays the one right above it among these."""
    staying = [rule.id for rule in rules if rule.id in stay]
    return dict(zip(staying, ["", *staying], strict=False))


def changed_rows(
    before: CompiledRules, after: CompiledRules, peer: PlatformId, rows: Rows, direction: Direction
) -> RowChanges:
    """What becomes of these rows, which the peer has."""
    was, _ = rows.select(before.selector(direction, CATALOG_ROWS, peer))
    now, _ = rows.select(after.selector(direction, CATALOG_ROWS, peer))
    old, new = dict.fromkeys(was.ids()), dict.fromkeys(now.ids())
    shown = [name for name in new if name not in old]
    hidden = [name for name in old if name not in new]
    first = (shown[0] if shown else "", hidden[0] if hidden else "")
    return RowChanges(peer, len(shown), len(hidden), first)
