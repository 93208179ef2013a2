"""What an operator is told of a catalog's answer, and what had to be put up with in it."""

import logging
from collections.abc import Sequence

from cascade.as_upper.sync import Finished
from cascade.deviations import Deviations
from cascade.model.index import Delta

log = logging.getLogger(__name__)


def tell(finished: Finished, deltas: Sequence[Delta], echoes: int, deviations: Deviations) -> None:
    """One line for each answer; `deltas` are what it changed, `echoes` are its rows that came through us."""
    odd = finished.odd.counts() | {
        "parents-in-a-loop": sum(delta.loops for delta in deltas),
        "sum-wrong": int(finished.sum_wrong),
        "echoes": echoes,
    }
    for kind, times in odd.items():
        deviations.note(finished.peer, kind, times)
    log.log(
        logging.INFO if finished.complete else logging.WARNING,
        "catalog.synced",
        extra={
            "peer": finished.peer,
            "outcome": finished.outcome,
            "got": len(finished.rows),
            "expected": finished.expected,
            "added": sum(delta.added for delta in deltas),
            "changed_rows": sum(delta.changed for delta in deltas),
            "removed": sum(delta.removed for delta in deltas),
            "odd": [f"{kind} {times}" for kind, times in odd.items() if times],
        },
    )
