"""What is said of quotas: how much a rule lets pass, and how much of that is taken now."""

from collections.abc import Iterator, Sequence

from gateway.chamber.rates import megabits
from gateway.chamber.rules import Quota
from gateway.local.messages import QuotaState, SideState
from gateway.words import Words

MAX_SHOWN = 8
"""Rules of which a status says what is taken."""


def limits(quota: Quota, words: Words) -> Iterator[str]:
    """What a rule lets pass at most, each with its unit."""
    if quota.streams:
        yield words.say("quota.streams", most=quota.streams)
    if quota.bits_per_second:
        each, most = megabits(quota.stream_bits_per_second), megabits(quota.bits_per_second)
        yield words.say("quota.bits", most=most, each=each)
        yield words.say("quota.over_ends") if quota.over == "end" else words.say("quota.over_refuses")
    if quota.commands:
        yield words.say("quota.commands", most=quota.commands)


def taken(sides: Sequence[SideState], words: Words) -> list[str]:
    """A line for each rule that is limited, as its door counts that has let more pass."""
    by_rule: dict[str, QuotaState] = {}
    for state in (quota for side in sides for quota in side.quotas):
        known = by_rule.get(state.rule)
        if known is None or (state.streams, state.commands) > (known.streams, known.commands):
            by_rule[state.rule] = state
    return [line(state, words) for state in list(by_rule.values())[:MAX_SHOWN]]


def line(state: QuotaState, words: Words) -> str:
    parts = []
    if state.most_streams:
        parts.append(words.say("quota.streams_taken", taken=state.streams, most=state.most_streams))
    if state.most_bits_per_second:
        used, most = megabits(state.bits_per_second), megabits(state.most_bits_per_second)
        parts.append(words.say("quota.bits_taken", taken=used, most=most))
    if state.most_commands:
        parts.append(words.say("quota.commands_taken", taken=state.commands, most=state.most_commands))
    return words.say("quota.taken", rule=state.rule, parts=" · ".join(parts))
