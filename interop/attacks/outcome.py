"""What an attack came to."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from interop.attacks.ground import Ground, Line
from interop.attacks.wire import Answer, challenges
from interop.words import Saying, saying


@dataclass(frozen=True, slots=True)
class Outcome:
    """`passed` is None where the attack was not tried, and `answered` says why."""

    answered: Saying
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Attack:
    """`key` names it in JSON and for `--only`; the words are for people."""

    key: str
    what: Saying
    sent: Saying
    good: Saying
    run: Callable[[Ground], Awaitable[Outcome]]


def not_tried(why: Saying) -> Outcome:
    return Outcome(why, None)


def shown(answers: Iterable[Answer | None]) -> Saying:
    """Each kind of answer once, in the order in which they came."""
    kinds = list(dict.fromkeys(map(_kind, answers)))
    return saying("attack.statuses", statuses=", ".join(kinds))


def _kind(answer: Answer | None) -> str:
    if answer is None:
        return "-"
    stale = any(asked.stale for asked in challenges(answer))
    return f"{answer.status} stale" if stale else str(answer.status)


def refused(answer: Answer | None) -> bool:
    return answer is None or answer.status >= 300


async def judged(ground: Ground, answers: Iterable[Answer | None], *strangers: Line) -> Outcome:
    """Passed when nothing was granted and the real peer is as well off as before."""
    given = list(answers)
    answered = shown(given)
    if any(line.visits for line in strangers):
        return Outcome(saying("attack.called", answered=answered), False)
    if not await ground.unharmed(*strangers):
        return Outcome(saying("attack.harmed", answered=answered), False)
    return Outcome(answered, all(map(refused, given)))
