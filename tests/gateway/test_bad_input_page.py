"""docs/operations/bad-input.md: the tests it names are there, the sentences, and the counters of the link."""

import re
from pathlib import Path
from typing import Final

from gateway.cli.status import ODD
from gateway.cli.status_link import BEFELL
from gateway.words import catalogue

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "operations" / "bad-input.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what")
]
CODE: Final = re.compile(r"`([^`]+)`")


def test_each_row_says_what_follows_has_a_test_and_a_sentence() -> None:
    assert len(ROWS) > 20
    for what, follows, tests, _, sentences in ROWS:
        assert follows, what
        assert ".py" in tests, what
        assert CODE.search(sentences), what


def test_the_tests_are_there() -> None:
    for _, _, tests, _, _ in ROWS:
        named = ""
        for text in CODE.findall(tests):
            if text.startswith("..._"):
                assert re.search(rf"^(async )?def test_\w*{text[3:]}\(", named, re.MULTILINE), text
                continue
            file, _, function = text.partition("::")
            named = (ROOT / "tests" / "gateway" / file).read_text(encoding="utf-8")
            if function:
                assert re.search(rf"^(async )?def {function}\(", named, re.MULTILINE), text


def test_the_sentences_are_there_in_both_languages() -> None:
    for _, _, _, _, sentences in ROWS:
        section = ""
        for key in CODE.findall(sentences):
            section = key.rpartition(".")[0] or section
            full = key if "." in key else f"{section}.{key}"
            for language in ("en", "zh"):
                found = [
                    known for known in catalogue(language) if known == full or known.startswith(f"{full}.")
                ]
                assert found, (language, full)


def test_the_counters_of_the_link_are_there() -> None:
    for what, _, _, counters, _ in ROWS[:9]:
        for name in CODE.findall(counters):
            if not name.endswith("...") and name != "replayed":
                assert name in BEFELL, what


def test_the_counters_of_the_rules_are_there() -> None:
    named = {name for *_, counters, _ in ROWS[-5:] for name in CODE.findall(counters)}
    assert named == {*ODD, "refused"}
