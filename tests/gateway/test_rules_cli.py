"""`lockgate policy` and `lockgate diff` as a person meets them, in both languages."""

import asyncio
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from cascade.crossing import StreamOpen
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Rows
from gateway.chamber.audit import Audit
from gateway.chamber.policy import NOWHERE, Asked, CompiledRules, Place, judge
from gateway.chamber.record import Post
from gateway.chamber.under_way import Stream
from gateway.config import load
from gateway.credentials.holders import Secrets, load_secrets
from gateway.keeper import Keeper, Kept
from gateway.local.place import NAME
from gateway.local.server import serving
from gateway.store.sqlite.store import SqliteStore
from gateway.words import LANGUAGES, Language
from interop.demo.cast import KEPT_BRANCH
from interop.demo.sealing import seal
from tests.gateway.test_cli import lockgate
from tests.gateway.test_local import Echo
from tests.gateway.world import INNER, LOWER_ID, OUTER, PASSWORD, UPPER_ID, settings_in, text
from tests.gateway.world import UPPER as UPPER_HOST

LOWER = PlatformId(LOWER_ID)
UPPER = PlatformId(UPPER_ID)
SHARED_CAMERA, KEPT_CAMERA = "44010600001320000001", "44010600001320000002"
ROWS = [
    {"id": KEPT_BRANCH, "name": "Schools"},
    {"id": SHARED_CAMERA, "name": "Crossing"},
    {"id": KEPT_CAMERA, "name": "Gate", "parent_id": KEPT_BRANCH},
]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def site() -> Iterator[Path]:
    """A folder with a configuration, the catalog of an earlier run and what was recorded in it."""
    with settings_in() as folder:
        asyncio.run(_kept(folder / "state" / "outer"))
        rules = load(folder / "gateway.toml").rules()
        places = Index()
        places.apply(LOWER, Rows.build(ROWS), complete=True)

        def place(channel: ChannelId) -> Place:
            return places.place(channel.peer, channel.name) or NOWHERE

        (folder / "state" / "inner").mkdir(parents=True)
        audit = Audit(folder / "state" / "inner" / "audit.jsonl")
        for number, camera in enumerate((SHARED_CAMERA, KEPT_CAMERA, SHARED_CAMERA)):
            asked = StreamOpen(correlation=number, origin=UPPER, channel=ChannelId(LOWER, PeerName(camera)))
            verdict = judge(rules, asked, "outward", place)
            audit.cross(asked, verdict, Post("inner", "send", "outward"))
        audit.close()
        yield folder


async def _kept(folder: Path, rows: list[dict[str, str]] = ROWS) -> None:
    store = SqliteStore(folder)
    store.save_rows(LOWER, Rows.build(rows), [])
    await store.flush()
    await store.close()


def explain(folder: Path, camera: str, *more: str, language: Language = "en") -> Result:
    asked = ["--peer", UPPER_ID, "--action", "media.live", "--channel", camera]
    config = str(folder / "gateway.toml")
    return lockgate("policy", "explain", *asked, "--config", config, *more, language=language)


def other(folder: Path, old: str, new: str) -> Path:
    """A copy of the configuration elsewhere, with one thing changed."""
    file = folder / "new" / "gateway.toml"
    file.parent.mkdir()
    written = (folder / "gateway.toml").read_text()
    assert old in written
    file.write_text(written.replace(old, new))
    return file


def test_the_rule_that_decides_is_named_with_its_reason_and_those_above_it(site: Path) -> None:
    result = explain(site, f"{LOWER_ID}/{KEPT_CAMERA}")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        f"{UPPER_ID} asks outward for media.live of {LOWER_ID}/{KEPT_CAMERA}.",
        f"It stands below {KEPT_BRANCH}.",
        'Refused by rule "no-live-schools", number 5 of 7. '
        "To allow it, put a rule above it or narrow its channels.",
        "Its reason: The schools' cameras stay on the public network.",
        "Why those above it do not decide:",
        "1. no-schools: is about the direction inward",
        "2. show-the-rest: is about the direction inward",
        "3. presence: is about the direction inward",
        "4. ask: is about the action query.*",
    ]


def test_what_may_pass_is_said_and_the_exit_code_tells_it_too(site: Path) -> None:
    result = explain(site, SHARED_CAMERA)  # of whom it is the kept catalog knows
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1:3] == ["It stands below nothing.", 'Allowed by rule "live", number 7 of 7.']
    assert f"5. no-live-schools: is about the channels branch:{KEPT_BRANCH}" in lines


def test_what_the_catalog_does_not_hold_is_judged_and_said_to_be_unknown(site: Path) -> None:
    result = explain(site, f"{LOWER_ID}/44010600001320000009")
    assert result.exit_code == 0
    assert "The catalog that is kept holds no such channel" in result.stdout


def test_what_no_rule_names_is_refused_with_what_to_do(site: Path) -> None:
    result = lockgate(
        *("policy", "explain", "--peer", UPPER_ID, "--action", "media.broadcast"),
        *("--config", site / "gateway.toml"),
    )
    assert result.exit_code == 1
    assert "and names no channel." in result.stdout
    assert "none of the 7 rules fits" in result.stdout


def test_presence_is_asked_of_the_peer_itself(site: Path) -> None:
    result = lockgate(
        *("policy", "explain", "--peer", LOWER_ID, "--action", "notice.presence"),
        *("--config", site / "gateway.toml"),
    )
    assert result.exit_code == 0
    assert 'Allowed by rule "presence"' in result.stdout


@pytest.mark.parametrize(
    ("peer", "action", "channel", "said"),
    [
        ("1", "media.live", SHARED_CAMERA, LOWER_ID),
        (UPPER_ID, "media.life", SHARED_CAMERA, "control.ptz"),
        (UPPER_ID, "media.live", "44010600001320000009", "0 peers have"),
        (UPPER_ID, "media.live", "/", "is no channel"),
    ],
)
def test_what_cannot_be_asked_is_told(site: Path, peer: str, action: str, channel: str, said: str) -> None:
    result = lockgate(
        *("policy", "explain", "--peer", peer, "--action", action, "--channel", channel),
        *("--config", site / "gateway.toml"),
    )
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_other_rules_are_tried_on_what_was_recorded_and_on_the_rows(site: Path) -> None:
    file = other(site, f'channels = ["branch:{KEPT_BRANCH}"]', f'channels = ["id:{SHARED_CAMERA}"]')
    before = (site / "state" / "inner" / "audit.jsonl").read_bytes()
    result = lockgate("policy", "try", file, "--config", site / "gateway.toml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        f"{site / 'state' / 'inner' / 'audit.jsonl'}: 3 recorded decisions judged anew.",
        "2 would be refused by no-live-schools, and passed by live: "
        f"media.live outward for {UPPER_ID}, such as {LOWER_ID}/{SHARED_CAMERA}",
        "1 would pass by live, and were refused by no-live-schools: "
        f"media.live outward for {UPPER_ID}, such as {LOWER_ID}/{KEPT_CAMERA}",
        f"2 rows of {LOWER_ID} would be shown that are not now, such as {KEPT_CAMERA}",
        f"1 rows of {LOWER_ID} would not be shown any more, such as {SHARED_CAMERA}",
    ]
    assert (site / "state" / "inner" / "audit.jsonl").read_bytes() == before


def test_the_same_rules_change_nothing(site: Path) -> None:
    result = lockgate("policy", "try", site / "gateway.toml", "--config", site / "gateway.toml")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "None of them would be another.",
        "The rows that are kept would be shown as they are now.",
    ]
    assert lockgate("diff", site / "gateway.toml", "--config", site / "gateway.toml").exit_code == 0


def test_a_file_that_cannot_be_used_is_told_and_nothing_is_tried(site: Path) -> None:
    file = other(site, 'action = "media.live"', 'action = "media.life"')
    for command in (["policy", "try"], ["diff"]):
        result = lockgate(*command, file, "--config", site / "gateway.toml")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "media.life" in result.stderr


def test_records_that_are_not_there_are_told(site: Path) -> None:
    file = site / "gateway.toml"
    result = lockgate("policy", "try", file, "--audit", site / "none.jsonl", "--config", file)
    assert result.exit_code == 2
    assert str(site / "none.jsonl") in result.stderr
    (site / "state" / "inner" / "audit.jsonl").unlink()
    assert lockgate("policy", "try", file, "--config", file).exit_code == 2


def test_the_host_of_the_other_side_goes_by_what_it_was_told(site: Path) -> None:
    """The inner host has no catalog of the outer side, but what was let through, and where it stands."""
    (site / "state" / "outer" / "catalog.db").unlink()
    told = [{"id": SHARED_CAMERA, "name": "Crossing", "branch": f"{KEPT_BRANCH}/44"}]
    asyncio.run(_kept(site / "state" / "inner", told))
    result = explain(site, SHARED_CAMERA)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1] == f"It stands below {KEPT_BRANCH}/44."


def test_a_catalog_that_cannot_be_read_is_told(site: Path) -> None:
    (site / "state" / "outer" / "catalog.db").write_bytes(b"no database" * 1000)
    result = explain(site, f"{LOWER_ID}/{SHARED_CAMERA}")
    assert result.exit_code == 2
    assert str(site / "state" / "outer") in result.stderr


def test_the_difference_names_rules_rows_and_what_waits_for_a_start(site: Path) -> None:
    file = other(site, 'id = "no-schools"', 'id = "no-more-schools"')
    written = file.read_text().replace("linger_seconds = 1.0", "linger_seconds = 2.0")
    live = written.index('[[rule]]\nid = "live"')
    ptz = written.index('[[rule]]\nid = "no-ptz"')
    schools = written.index('[[rule]]\nid = "no-live-schools"')
    moved = written[:schools] + written[live:] + "\n" + written[ptz:live] + written[schools:ptz]
    file.write_text(moved.replace('action = "query.*"', 'action = "query.device-info"'))
    result = lockgate("diff", file, "--config", site / "gateway.toml")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "Rules that are new: no-more-schools",
        "Rules that go: no-schools",
        "Rules that say something else: ask",
    ]
    assert lines[3].startswith("Rules that stand elsewhere in the list: ")
    assert "live" in lines[3]
    assert lines[4:] == [
        "Limits that count from then on, for what begins then: media.linger_seconds",
        "The rows that are kept would be shown as they are now.",
        "No gateway answers here, so nothing is said of the streams that flow.",
    ]


async def test_streams_that_would_end_are_told_before(site: Path) -> None:
    """As a running gateway would answer, in real time."""
    flowing = [
        Stream(
            "outward", number, Asked(UPPER, "outward"), "media.live", ChannelId(LOWER, PeerName(name)), "live"
        )
        for number, name in enumerate((SHARED_CAMERA, KEPT_CAMERA))
    ]
    config = load(site / "gateway.toml")
    keeper = Keeper(
        site / "gateway.toml",
        config,
        Secrets(),
        [Kept("inner", LOWER, Flows(flowing), lambda: None)],
        wall=time.time,
    )
    file = other(site, f'channels = ["branch:{KEPT_BRANCH}"]', f'channels = ["id:{SHARED_CAMERA}"]')
    async with serving(Echo(), Path(config.gateway.state) / NAME, reload=keeper.answer):
        result = await asyncio.to_thread(lockgate, "diff", file, "--config", site / "gateway.toml")
        assert (
            f"1 of the 2 streams that flow now would end, such as media.live of {LOWER_ID}/{SHARED_CAMERA} "
            f"for {UPPER_ID}"
        ) in result.stdout.splitlines()
        file.write_text((site / "gateway.toml").read_text().replace('id = "ask"', 'id = "inquire"'))
        result = await asyncio.to_thread(lockgate, "diff", file, "--config", site / "gateway.toml")
        assert (
            "1 of the 2 streams that flow now would end" in result.stdout
        )  # no rule ever let the kept one flow
    assert keeper.counts == {}


async def test_diff_asks_the_gateway_that_runs_what_is_another_for_it(site: Path) -> None:
    """Its secrets may have been edited in their place since it read them: the files alone can't tell."""
    config, password = load(site / "gateway.toml"), "not-to-be-shown"
    known = load_secrets(config)
    kept = [Kept("outer", LOWER, Flows([]), lambda: None)]
    keeper = Keeper(site / "gateway.toml", config, known, kept, wall=time.time)
    file = site / "new.toml"
    file.write_text((site / "gateway.toml").read_text())
    seal(site / "gateway.toml", {LOWER_ID: password, UPPER_ID: PASSWORD})
    command = ("diff", file, "--config", site / "gateway.toml")
    assert lockgate(*command).exit_code == 0, "nobody runs, and both files name the same secrets"
    async with serving(Echo(), Path(config.gateway.state) / NAME, reload=keeper.answer):
        result = await asyncio.to_thread(lockgate, *command)
    assert result.exit_code == 1
    assert f"Other passwords on the outer side: {LOWER_ID}. They count from the next registration on." in (
        result.stdout.splitlines()
    )
    assert password not in result.output
    assert keeper.counts == {}


def test_diff_says_that_other_secrets_hold_another_password(site: Path) -> None:
    file, password = site / "new.toml", "not-to-be-shown"
    written = (site / "gateway.toml").read_text()
    file.write_text(written.replace("[gateway]", '[secrets]\nstore = "others.sealed"\n\n[gateway]', 1))
    seal(file, {LOWER_ID: password, UPPER_ID: PASSWORD})
    result = lockgate("diff", file, "--config", site / "gateway.toml")
    assert result.exit_code == 1
    assert f"Other passwords on the outer side: {LOWER_ID}." in result.stdout
    assert password not in result.output


class Flows:
    """A door through which these streams flow."""

    def __init__(self, streams: list[Stream]) -> None:
        self.streams = streams

    def adopt(self, rules: CompiledRules) -> int:
        raise AssertionError("nothing was to be taken")

    def reconsider(self) -> int:
        raise AssertionError("nothing was to be taken")

    def ask_anew(self) -> None:
        raise AssertionError("nothing was to be taken")

    def note(self, event: str, peer: PlatformId, **details: str) -> None:
        raise AssertionError("nothing was to be written down")


def test_a_selector_that_selects_nothing_is_told(site: Path) -> None:
    idle = '"id:44010600001320000009", "prefix:4402", "branch:44010600002160000009", "class:137"'
    known = f'"id:{SHARED_CAMERA}", "prefix:4401", "branch:{KEPT_BRANCH}", "class:132", "*"'
    file = other(site, f'channels = ["branch:{KEPT_BRANCH}"]', f"channels = [{idle}, {known}]")
    result = lockgate("diff", file, "--config", site / "gateway.toml")
    assert result.exit_code == 1
    warned = [line for line in result.stderr.splitlines() if "selects none of the channels" in line]
    assert [line.split(chr(34))[1] for line in warned] == [
        each.strip().strip(chr(34)) for each in idle.split(",")
    ] * 2
    assert all(line.startswith(f"warning: {file}: rule[#1].channels") for line in warned[:4])
    (site / "gateway.toml").write_text(file.read_text())
    checked = lockgate("check", "--config", site / "gateway.toml")
    assert checked.exit_code == 0
    assert checked.stderr.count("selects none of the channels") == 8
    alone = lockgate("policy", "check", "--config", site / "gateway.toml")
    assert alone.exit_code == 0
    assert [line for line in checked.stderr.splitlines() if "rule[#" in line] == alone.stderr.splitlines()
    assert alone.stdout == "rules: 4 allow, 3 deny; what no rule names is refused\n"
    for side in ("outer", "inner"):
        (site / "state" / side / "catalog.db").unlink(missing_ok=True)
    nothing_known = lockgate("check", "--config", site / "gateway.toml")
    assert "selects none of the channels" not in nothing_known.stderr


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        ("{ streams = 2 }", ["It lets at most 2 streams flow at once."]),
        ("{ commands = 60 }", ["It lets at most 60 questions and commands pass a minute."]),
        (
            '{ bits_per_second = 20_500_000, over = "end" }',
            [
                "It lets at most 20.5 Mbit/s flow at once; a stream that declares nothing (f=) counts 4, and "
                "each what is measured of it once that is more.",
                "When what is measured is more than that, the youngest streams end until it fits.",
            ],
        ),
    ],
)
def test_what_the_rule_that_allows_lets_pass_at_most_is_said(site: Path, quota: str, said: list[str]) -> None:
    written = (site / "gateway.toml").read_text()
    (site / "gateway.toml").write_text(written.replace('id = "live"', f'id = "live"\nquota = {quota}'))
    assert explain(site, SHARED_CAMERA).stdout.splitlines()[-len(said) :] == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_answer_is_in_the_operators_language(site: Path, language: Language) -> None:
    file = other(site, f'channels = ["branch:{KEPT_BRANCH}"]', f'channels = ["id:{SHARED_CAMERA}"]')
    for result in (
        explain(site, SHARED_CAMERA, language=language),
        lockgate("policy", "try", file, "--config", site / "gateway.toml", language=language),
        lockgate("diff", file, "--config", site / "gateway.toml", language=language),
    ):
        for line in result.stdout.splitlines():
            words = re.sub(r"The schools' cameras.*|The upper platform.*", "", line)
            assert bool(CHINESE.search(words)) == (language == "zh"), line


async def test_a_running_gateway_takes_new_rules_by_command_and_by_signal() -> None:
    """In real time: the local socket, SIGHUP, and a file that cannot be used between the two."""
    written = text(**{f'"{OUTER}"': '"127.0.3.1"', f'"{INNER}"': '"127.0.4.1"'})
    written = written.replace("203.0.113.0/24", "127.0.3.0/24").replace("198.51.100.0/24", "127.0.4.0/24")
    written = written.replace(UPPER_HOST, "127.0.4.2").replace("port = 5060", "port = 0", 2)
    with settings_in(written) as folder:
        file = folder / "gateway.toml"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "--lang", "en", "run", "--config", str(file)),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await said(process, "gateway.ready")
            assert (await reloaded(file)).stdout == "The rules are those that count already.\n"
            file.write_text(written.replace('id = "ask"', 'id = "inquire"'))
            result = await reloaded(file)
            assert (result.exit_code, result.stderr) == (0, "")
            assert "1 new, 1 gone" in result.stdout
            file.write_text(written.replace('"media.live"', '"media.life"'))
            result = await reloaded(file)
            assert (result.exit_code, result.stdout) == (1, "")
            assert "media.life" in result.stderr
            assert "goes on with what it had" in result.stderr
            file.write_text(written)
            process.send_signal(signal.SIGHUP)
            line = await said(process, "rules.reloaded", skip=2)
            assert "added=1" in line
        finally:
            process.terminate()
            await process.wait()
        assert process.returncode == 0
        assert (await reloaded(file)).exit_code == 2


async def reloaded(file: Path) -> Result:
    return await asyncio.to_thread(lockgate, "reload", "--config", file)


async def said(process: asyncio.subprocess.Process, event: str, skip: int = 0) -> str:
    """The next line of the log with this event, after so many others of it."""
    assert process.stderr is not None
    seen = []
    async with asyncio.timeout(20):
        while line := (await process.stderr.readline()).decode():
            seen.append(line)
            if event in line:
                if not skip:
                    return line
                skip -= 1
    raise AssertionError(f"{event} was not said: {seen}")
