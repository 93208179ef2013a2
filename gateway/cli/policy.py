"""`lockgate policy` and `lockgate diff`: what do the rules say, and what would other rules change?

Exit codes: `explain` 0 allowed, 1 refused; `try` and `diff` 0 nothing would change, 1 something would; 2 it
cannot be said.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cascade.crossing import Direction
from cascade.model.commands.presence import Presence
from cascade.model.ids import ChannelId, PlatformId
from certs.identities import SideName
from gateway.chamber import chain
from gateway.chamber.explain import Explanation, Step, explain
from gateway.chamber.policy import NOWHERE, CompiledRules, Place, Question
from gateway.chamber.replay import Change, Replay, Untold, channel_of, replay
from gateway.cli import quotas, ticket
from gateway.cli.asking import SIDES, Catalogs, asked_well, give_up, key_of, peers_of, tickets_of
from gateway.cli.check import DEFAULT, config_option, side_named, side_option, tell, usable, with_secrets
from gateway.cli.scaffold import Frame
from gateway.config import Config, examine
from gateway.config_changes import changes_of
from gateway.config_diff import RowChanges, RuleChanges, changed_rows
from gateway.credentials.holders import Secrets
from gateway.local.client import Unanswered, connected
from gateway.outcome import besides_rules
from gateway.words import Saying, Words, printable, saying
from gateway.words.system import reason

MAX_STEPS: Final = 40
"""Rules of a long list that are shown above the one that decides: the last ones."""
MAX_CHANGES: Final = 40


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words
    policy = typer.Typer()

    @policy.command("check", **frame.command(words.say("help.policy_check")))
    def look(
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        checked(config, words, side_named(side))

    @policy.command("explain", **frame.command(words.say("help.policy_explain")))
    def command(
        peer: Annotated[str, _option("--peer", "ID", words.say("help.policy_peer"))],
        action: Annotated[str, _option("--action", "ACTION", words.say("help.policy_action"))],
        channel: Annotated[str, _option("--channel", "CHANNEL", words.say("help.policy_channel"))] = "",
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        explained(peer, action, channel, usable(config, words, side_named(side)), words)

    @policy.command("try", **frame.command(words.say("help.policy_try")))
    def attempt(
        file: Annotated[Path, typer.Argument(help=words.say("help.policy_file"), metavar="FILE")],
        audit: Annotated[
            list[Path] | None, _option("--audit", "FILE", words.say("help.policy_audit"))
        ] = None,
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        tried(file, audit or [], config, words, side_named(side))

    ticket.add(policy, frame)

    @app.command("diff", **frame.command(words.say("help.diff")))
    def compare(
        file: Annotated[Path, typer.Argument(help=words.say("help.policy_file"), metavar="FILE")],
        config: Annotated[Path, config_option(words)] = DEFAULT,
        side: Annotated[str | None, side_option(words)] = None,
    ) -> None:
        compared(file, config, words, side_named(side))

    app.add_typer(policy, name="policy", **frame.group(words.say("help.policy")))


def _option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, help=text, metavar=metavar, show_default=False)


def checked(file: Path, words: Words, side: SideName | None = None) -> None:
    """Say what is wrong or odd about the rules, by what is known of the channels too. Exits 2 where wrong."""
    config = usable(file, words, side)
    tell(Catalogs(config, words).idle(config, file), words)
    allow = sum(rule.allow for rule in config.rule)
    typer.echo(words.say("check.rules", allow=allow, deny=len(config.rule) - allow))


# explain


def explained(peer: str, action: str, channel: str, config: Config, words: Words) -> None:
    """Say which rule decides and why. Exits 1 where that is a refusal, 2 where nothing can be said."""
    direction = asked_well(peer, action, config, words)
    catalogs = Catalogs(config, words)
    name, place = channel, NOWHERE
    if action == Presence.action:  # it is about peers, and each speaks for itself
        name = channel = channel or peer
    elif channel:
        key = key_of(channel, config, catalogs, words)
        name, place, channel = key.name, catalogs.place(key), str(key)
    tickets = tickets_of(config, words)
    listed = [*(ticket.rule() for ticket in tickets), *config.rule]
    found = explain(listed, Question(direction, action, peer), name, place, wall=time.time())
    typer.echo(_asked(peer, direction, action, channel, words))
    if channel and action != Presence.action:
        for line in _standing(key, place, catalogs, words):
            typer.echo(line)
    for line in _explanation(found, len(listed), words):
        typer.echo(line)
    if found.rule is not None and found.allowed:
        for line in (*quotas.limits(found.rule.quota, words), *_used(found.rule.id, config, words)):
            typer.echo(line)
    raise typer.Exit(0 if found.allowed else 1)


def _used(rule: str, config: Config, words: Words) -> list[str]:
    """How much of its quota is taken now, where a gateway runs and anything is."""
    try:
        with connected(Path(config.gateway.state)) as gateways:
            sides = [side for gateway in gateways for side in gateway.status().sides]
    except Unanswered:
        return []
    return [quotas.line(one, words) for side in sides for one in side.quotas if one.rule == rule][:1]


def _asked(peer: str, direction: Direction, action: str, channel: str, words: Words) -> str:
    if not channel:
        return words.say("policy.asked_of_nothing", peer=peer, direction=direction, action=action)
    return words.say("policy.asked", peer=peer, direction=direction, action=action, channel=channel)


def _standing(key: ChannelId, place: Place, catalogs: Catalogs, words: Words) -> Iterator[str]:
    branch, owner = place
    if branch:
        yield words.say("policy.below", branch=branch)
    elif catalogs.of(key.peer).place(key.peer, key.name) is not None:
        yield words.say("policy.below_none")
    else:
        yield words.say("policy.no_row")
    if owner:
        yield words.say("policy.owner", owner=printable(owner))


def _explanation(found: Explanation, count: int, words: Words) -> Iterator[str]:
    rule = found.rule
    if rule is None:
        yield words.say("policy.refused_by_none", count=count)
    elif rule.allow:
        yield words.say("policy.allowed_by", rule=rule.id, number=found.number, count=count)
    else:
        yield words.say("policy.refused_by", rule=rule.id, number=found.number, count=count)
    if rule is not None and rule.reason:
        yield words.say("policy.reason", reason=rule.reason)
    if found.above:
        yield words.say("policy.above")
    left_out = len(found.above) - MAX_STEPS
    if left_out > 0:
        yield words.say("policy.left_out", count=left_out)
    for step in found.above[max(left_out, 0) :]:
        yield words.say("policy.step", number=step.number, rule=step.rule.id, why=_why(step))


def _why(step: Step) -> Saying:
    """What the rule is about instead."""
    rule = step.rule
    match step.miss:
        case "direction":
            return saying("policy.about_direction", direction=rule.direction)
        case "peer":
            return saying("policy.about_peer", peer=rule.peer)
        case "action":
            return saying("policy.about_action", action=rule.action)
        case "channels":
            return saying("policy.about_channels", channels=_some(rule.channels))
        case "when":
            return saying("policy.about_when")


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


# try and diff


def _candidate(file: Path, place: Path, words: Words, side: SideName | None) -> tuple[Config, Secrets]:
    """The other configuration and its secrets, judged as if it stood in the place of this one."""
    examined = examine(file, side, place=place)
    tell(examined.warnings, words)
    if examined.config is None or examined.problems:
        tell(examined.problems, words)
        raise typer.Exit(2)
    return examined.config, examined.secrets


def tried(file: Path, audits: list[Path], place: Path, words: Words, side: SideName | None = None) -> None:
    """Judge recorded crossings, and the kept rows, by the rules of `file`."""
    config = usable(place, words, side)
    other, _ = _candidate(file, place, words, side)
    rules = other.rules()
    catalogs = Catalogs(config, words)
    tell(catalogs.idle(other, file), words)
    state = Path(config.gateway.state)
    given = audits or [path for side, _ in SIDES if (path := state / side / "audit.jsonl").exists()]
    if not given:
        give_up(words.say("policy.no_audit", folder=str(state)))
    changed = False
    for path in given:
        try:
            with path.open("rb") as records:
                found = replay(map(_record, chain.lines(records)), rules, catalogs.place, peers_of(config))
        except OSError as error:
            give_up(words.say("audit.unreadable", file=str(path), reason=reason(error)))
        for line in _replayed(path, found, words):
            typer.echo(line)
        changed = changed or bool(found.changes)
    rows = list(_rows(config, rules, catalogs))
    for line in _row_lines(rows, words):
        typer.echo(line)
    raise typer.Exit(1 if changed or any(each.shown or each.hidden for each in rows) else 0)


def _record(line: bytes) -> Mapping[str, Any] | None:
    return chain.unseal(line.rstrip(b"\n"))


def _replayed(path: Path, found: Replay, words: Words) -> Iterator[str]:
    yield words.say("policy.judged", file=str(path), count=found.judged)
    if not found.changes:
        yield words.say("policy.same")
    for change, count in found.changes.most_common(MAX_CHANGES):
        yield _change(change, count, found.examples[change], words)
    if len(found.changes) > MAX_CHANGES:
        yield words.say("policy.left_out", count=len(found.changes) - MAX_CHANGES)
    for untold, count in sorted(found.untold.items()):
        text = _not_judged(untold, count, found.rows)
        if text is not None:
            yield words.render(text)


def _change(change: Change, count: int, example: str, words: Words) -> str:
    if change.passes:
        return words.say(
            "policy.would_pass",
            count=count,
            peer=change.peer,
            direction=change.direction,
            action=change.action,
            was=change.was,
            now=change.now,
            channel=example or "-",
        )
    return words.say(
        "policy.would_not",
        count=count,
        peer=change.peer,
        direction=change.direction,
        action=change.action,
        was=change.was,
        now=change.now,
        channel=example or "-",
    )


def _not_judged(untold: Untold, count: int, rows: int) -> Saying | None:
    """What the records could not tell; nothing of those that no rule is asked about."""
    match untold:
        case "rows":
            return saying("policy.untold_rows", count=count, rows=rows)
        case "answers":
            return saying("policy.untold_answers", count=count)
        case "trouble":
            return saying("policy.untold_trouble", count=count)
        case "incomplete":
            return saying("policy.untold_incomplete", count=count)
        case "unreadable":
            return saying("policy.untold_unreadable", count=count)
        case "ends" | "notes":
            return None


def _rows(config: Config, rules: CompiledRules, catalogs: Catalogs) -> Iterator[RowChanges]:
    before, rules = config.rules().at(time.time()), rules.at(time.time())
    for peer, (_, direction) in catalogs.sides.items():
        rows = catalogs.of(PlatformId(peer)).rows(PlatformId(peer))
        if len(rows):
            yield changed_rows(before, rules, PlatformId(peer), rows, direction)


def _row_lines(changes: list[RowChanges], words: Words) -> Iterator[str]:
    for each in changes:
        shown, hidden = each.examples
        if each.shown:
            yield words.say("policy.rows_shown", peer=each.peer, count=each.shown, first=shown)
        if each.hidden:
            yield words.say("policy.rows_hidden", peer=each.peer, count=each.hidden, first=hidden)
    if not any(each.shown or each.hidden for each in changes):
        yield words.say("policy.rows_same")


def compared(file: Path, place: Path, words: Words, side: SideName | None = None) -> None:
    """What a reload of `file` would do, before it is done."""
    config, secrets = with_secrets(place, words, side)
    other, others = _candidate(file, place, words, side)
    catalogs = Catalogs(config, words)
    tell(catalogs.idle(other, file), words)
    changes = changes_of(config, other, secrets, others, side)
    besides = _as_it_runs(config, file, words)
    if besides is None:
        besides = list(besides_rules(changes, words))
    rows = list(_rows(config, other.rules(), catalogs))
    if not changes.rules.any and not besides:
        typer.echo(words.say("policy.no_difference"))
        raise typer.Exit(0)
    for line in (*_rule_lines(changes.rules, words), *besides, *_row_lines(rows, words)):
        typer.echo(line)
    typer.echo(_stream_line(config, other, catalogs, words))
    raise typer.Exit(1)


def _as_it_runs(config: Config, file: Path, words: Words) -> list[str] | None:
    """What would become of the gateway that runs, which may have other secrets and certificates than stand in
    the files by now. None where none can say so."""
    try:
        with connected(Path(config.gateway.state)) as gateways:
            answers = [gateway.difference(file, words.language) for gateway in gateways]
    except Unanswered:
        return None
    if None in answers:
        return None
    return list(dict.fromkeys(line for answer in answers if answer is not None for line in answer))


def _stream_line(config: Config, other: Config, catalogs: Catalogs, words: Words) -> str:
    """What becomes of the streams that flow now, if a gateway runs on the state folder."""
    try:
        with connected(Path(config.gateway.state)) as gateways:
            flowing = list(dict.fromkeys(stream for gateway in gateways for stream in gateway.flowing()))
    except Unanswered:
        return words.say("policy.streams_unknown")
    rules = other.rules(tickets_of(config, words)).at(time.time())
    peers = sorted(peers_of(config), key=len, reverse=True)
    ending = []
    for stream in flowing:
        key = channel_of(stream.channel, peers)
        question = Question(stream.direction, stream.action, stream.peer)
        if key is not None and not rules.judge(question, key.name, catalogs.place(key))[0]:
            ending.append(stream)
    if not ending:
        return words.say("policy.streams_stay", count=len(flowing))
    first = ending[0]
    return words.say(
        "policy.streams_end",
        count=len(ending),
        all=len(flowing),
        action=first.action,
        channel=first.channel,
        peer=first.peer,
    )


def _rule_lines(rules: RuleChanges, words: Words) -> Iterator[str]:
    if rules.added:
        yield words.say("policy.rules_added", rules=_some(rules.added, MAX_CHANGES))
    if rules.removed:
        yield words.say("policy.rules_removed", rules=_some(rules.removed, MAX_CHANGES))
    if rules.changed:
        yield words.say("policy.rules_changed", rules=_some(rules.changed, MAX_CHANGES))
    if rules.moved:
        yield words.say("policy.rules_moved", rules=_some(rules.moved, MAX_CHANGES))
