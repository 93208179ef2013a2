"""What one door counts."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class GateCounters:
    """What this door did since it was built, by the rule that decided."""

    passed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # crossings; "audit" and "link" are ours
    rows_passed: int = 0
    rows_refused: Counter[str] = field(default_factory=Counter)
    held: int = 0  # were held back by an audit that could not be written
    lost: int = 0  # of these, too many
