"""Setting secrets: for whom a line is, and what became of it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from cascade.credential import Credential
from certs.identities import SideName
from gateway.credentials.holders import Expected, admissible, expected
from gateway.credentials.lines import Line, Unreadable
from gateway.credentials.store import Holder
from gateway.words import Saying, saying

if TYPE_CHECKING:
    from gateway.config import Config


class Report(Struct, frozen=True):
    """What became of each line: `added`, `changed` and `same` are ids, `refused` the other lines."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    refused: tuple[Unreadable, ...]


class Roll:
    """Who may have a secret, by id. A box that is below us and above us has two."""

    def __init__(self, config: "Config", here: SideName | None = None) -> None:
        self._config = config
        self._here: SideName | None = here
        self._roles: dict[str, list[Expected]] = defaultdict(list)
        for role in expected(config, here):
            self._roles[role.holder.peer].append(role)

    def roles(self, peer: str, user: str = "", side: str = "") -> "list[Expected] | Saying":
        """What a secret of it is for, or why it can have none."""
        found = self._roles.get(peer) or list(admissible(self._config, peer, self._here))
        if not found:
            return saying("secret.no_peer", peer=peer)
        found = [role for role in found if side in {"", role.holder.side}]
        if not found:
            return saying("secret.other_side", peer=peer, side=side)
        for role in found:
            if user and role.user and role.user != user:
                return saying("secret.other_user", peer=peer, user=user, wanted=role.user)
        return found


def apply(
    lines: Iterable[Line | Unreadable], roll: Roll, kept: dict[Holder, Credential], wall: float
) -> Report:
    """Set in `kept` what each line says. A line counts for all roles of its peer or for none."""
    became: dict[str, list[str]] = {"added": [], "changed": [], "same": []}
    refused: list[Unreadable] = []
    seen: dict[tuple[str, str], int] = {}
    for line in lines:
        if isinstance(line, Unreadable):
            refused.append(line)
            continue
        roles = roll.roles(line.peer, line.user, line.side)
        if isinstance(roles, Saying):
            refused.append(Unreadable(line.number, roles))
            continue
        before = seen.setdefault((line.peer, line.side), line.number)
        if before != line.number:
            refused.append(Unreadable(line.number, saying("secret.twice", peer=line.peer, line=before)))
            continue
        became[_set(line, roles, kept, wall)].append(line.peer)
    added, changed, same = (tuple(became[name]) for name in ("added", "changed", "same"))
    return Report(added, changed, same, tuple(refused))


def _set(line: Line, roles: Iterable[Expected], kept: dict[Holder, Credential], wall: float) -> str:
    made = {
        role.holder: Credential.of(line.user or role.usual_user, role.realm, line.password.reveal(), wall)
        for role in roles
    }
    if all(kept.get(holder) == one for holder, one in made.items()):
        return "same"
    became = "changed" if any(holder in kept for holder in made) else "added"
    kept.update(made)
    return became
