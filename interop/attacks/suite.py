"""All attacks in order, each on a peer that is registered and well."""

import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from interop.attacks import hijacks, loads, proofs, replays
from interop.attacks.ground import Ground, Unusable
from interop.attacks.loads import Load
from interop.attacks.outcome import Attack, Outcome
from interop.words import saying


@dataclass(frozen=True, slots=True)
class Found:
    attack: Attack
    outcome: Outcome


def every(load: Load) -> list[Attack]:
    return [*replays.attacks(), *proofs.attacks(), *hijacks.attacks(), *loads.attacks(load)]


async def run(ground: Ground, load: Load, only: Collection[str] = ()) -> AsyncIterator[Found]:
    """One by one, those of `only` or all. After an attack that did harm the peer registers anew."""
    for attack in every(load):
        if only and attack.key not in only:
            continue
        outcome = await _outcome(attack, ground)
        yield Found(attack, outcome)
        if outcome.passed is False:
            with contextlib.suppress(Unusable):
                await ground.peer.register()


async def _outcome(attack: Attack, ground: Ground) -> Outcome:
    try:
        return await attack.run(ground)
    except Unusable as error:  # of the peer itself, in an attack that begins with its own registration
        return Outcome(saying("attack.unheard", status=error.status), False)
