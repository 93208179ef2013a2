"""The demo's live view in terminals of every size, drawn without one."""

from io import StringIO

import pytest
from rich.console import Console

from gateway.screen import Screen
from interop.demo.view import Picture, PlainView, Playing, page
from interop.words import LANGUAGES, Language, Words, saying

PICTURE = Picture(
    phase=saying("phase.playing"),
    elapsed=4.2,
    seconds=30.0,
    outer=[
        (saying("view.platform"), saying("view.registered")),
        (saying("view.offered"), "200"),
        (saying("view.sources"), "4"),
    ],
    lock=[
        (saying("view.crossings"), "321"),
        (saying("view.rows_passed"), "103"),
        (saying("view.rows_kept"), "101"),
    ],
    inner=[
        (saying("view.platform"), saying("view.we_registered")),
        (saying("view.shared"), "100"),
        (saying("view.viewings"), "4"),
    ],
    received=103,
    expected=103,
    playing=[Playing(n, f"Roads camera {n}", 97, 4.6e5, 55.0, 7.0) for n in (1, 51, 101, 151)],
    voice=saying("view.voice", target="44010600001370000001", said=212, heard=211),
    refused=[
        saying("view.kept_back", rule="no-schools", count=101),
        saying("refused.play", channel="44010600001320000002", status=404, reason="Not Found"),
        saying("refused.ptz", channel="44010600001320000001", status=403, rule="no-ptz"),
    ],
)

REFUSALS = ["no-schools", "404 Not Found", "no-ptz"]
CAMERAS = [row.name for row in PICTURE.playing]


def drawn(rows: int, columns: int = 80, language: Language = "en") -> list[str]:
    console = Console(width=columns, height=rows, file=StringIO(), force_terminal=False, _environ={})
    with console.capture() as capture:
        console.print(Screen(page(PICTURE, Words(language))))
    return capture.get().splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("columns", [40, 60, 80, 132])
def test_it_fits_into_every_terminal(columns: int, language: Language) -> None:
    for rows in range(1, 41):
        lines = drawn(rows, columns, language)
        assert 1 <= len(lines) <= rows
        assert "Lockgate" in lines[0]


@pytest.mark.parametrize(
    ("rows", "seen", "gone"),
    [
        (18, ["╭──", "outer · public", "catalog above", *CAMERAS, "212 packets", *REFUSALS], []),
        (17, ["outer · public", "catalog above", *CAMERAS, "212 packets", *REFUSALS], []),
        (12, ["outer · public", "catalog above", *CAMERAS, "212 packets", "refused 3: PTZ"], ["404"]),
        (11, ["outer · public", "catalog above", *CAMERAS, "212 packets"], ["refused"]),
        (8, ["catalog above", *CAMERAS, "212 packets"], ["outer"]),
        (7, ["catalog above", *CAMERAS], ["outer", "212 packets"]),
        (6, ["catalog above", *CAMERAS[:2], "and 2 more"], CAMERAS[2:]),
        (4, [CAMERAS[0], "and 3 more"], ["catalog", *CAMERAS[1:]]),
        (2, ["playing · 26 s left"], CAMERAS),
    ],
)
def test_the_least_important_lines_go_first(rows: int, seen: list[str], gone: list[str]) -> None:
    """Frames, refusals, networks, catalog, cameras; the time that is left stays to the end."""
    whole = "\n".join(drawn(rows))
    assert [text for text in seen if text not in whole] == []
    assert [text for text in gone if text in whole] == []


def test_a_name_from_a_peer_is_no_markup() -> None:
    named = Playing(1, "[red]gate[/red]", 1, 0.0, None, None)
    console = Console(width=80, height=20, file=StringIO())
    with console.capture() as capture:
        picture = Picture(saying("phase.playing"), 0.0, 1.0, playing=[named])
        console.print(Screen(page(picture, Words("en"))))
    assert "[red]gate[/red]" in capture.get()


def test_plain_lines_come_with_each_phase_and_now_and_then() -> None:
    lines: list[str] = []
    view = PlainView(lines.append, Words("zh"))
    for moment in (0.0, 0.25, 5.25, 5.5):
        view.show(Picture(saying("phase.starting"), moment, 30.0))
    view.show(Picture(saying("phase.playing"), 5.75, 30.0, playing=PICTURE.playing[:1]))
    assert lines == [
        "[  0.0 秒] 正在启动",
        "[  5.2 秒] 正在启动",
        "[  5.8 秒] 正在播放；摄像机 1：97 帧",
    ]
