"""What a list of rows says of those above them, where the rules do not share those.

A camera may be shared by its own id while the branch around it is kept. Its row still has to say where
it stands, since the far door's rules go by that; but an id that may not cross itself is not said as the
place of another. The sending door takes it out of the row and puts a veil in its place: a word that
says which branch of the rule list it is, or only that there is one that no rule names. Both doors have
the same list, so what a rule decides on behind a veil is what it decides before it, and the list's
fingerprint is in the veil: a row that was veiled under another list can't be judged, and is refused
until it is told again.

    branch of the row           216 kept by "branch:216", 215 named by no rule, 44 shared
    215/216/44             ->   ~5f0c3a9e/~5f0c3a9e.0/44
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from cascade.model.index import Rows, Selector

SIGN: Final = "~"
"""A veil begins with this. No name in a branch does: the index leaves those out (`catalog-core`)."""

FOREIGN: Final = "veil"
"""Decides about rows that were veiled under another rule list."""

_BRANCH: Final = "branch:"


class Veils:
    """The veils of one rule list: `channels` are the selectors of its rules, in their order."""

    def __init__(self, rules: object, channels: Sequence[Sequence[str]]) -> None:
        """`rules` is the whole list, as msgspec can write it: another list has other veils."""
        self.fingerprint: Final = sha256(msgspec.json.encode(rules, enc_hook=str)).hexdigest()
        self._plain = SIGN + self.fingerprint[:8]
        branches = dict.fromkeys(name for each in channels for name in _branches(each))
        self._of: Mapping[str, str] = {
            name: f"{self._plain}.{number}" for number, name in enumerate(branches)
        }

    def of(self, name: str) -> str:
        """What stands for `name`."""
        return self._of.get(name, self._plain)

    def known_to(self, channels: Sequence[str]) -> list[str]:
        """Selectors, and what they are for rows that are veiled."""
        return [*channels, *(_BRANCH + self.of(name) for name in _branches(channels))]

    def legible(self, rows: Rows) -> tuple[Rows, dict[str, int]]:
        """The rows that this list can judge, and how many others there were."""
        foreign = [name for name in rows.named_above() if name.startswith(SIGN) and not self._is_ours(name)]
        if not foreign:
            return rows, {}
        return rows.select(
            Selector([(FOREIGN, False, [_BRANCH + name for name in foreign]), ("rest", True, ["*"])])
        )

    def _is_ours(self, veil: str) -> bool:
        return veil == self._plain or veil.startswith(f"{self._plain}.")


def _branches(selectors: Sequence[str]) -> list[str]:
    """The names in selectors of branches."""
    return [text.removeprefix(_BRANCH) for text in selectors if text.startswith(_BRANCH)]
