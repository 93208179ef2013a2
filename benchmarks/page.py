"""docs/benchmarks.md and its plots, drawn from results/*.json."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot

from benchmarks.peers import PACKAGES
from benchmarks.results import load

mpl.rcParams["svg.fonttype"] = "none"  # text stays text
mpl.rcParams["svg.hashsalt"] = "lockgate"  # the same results give the same file

DOCS = Path(__file__).parents[1] / "docs"

NOTES: Final = {
    "kamailio": (
        "Kamailio runs with one worker on the processor that is measured, its fast allocator"
        " (`-x fm -X fm`), all shared memory taken at its start (512 MB, with tm 2 GB: 5.6 KB a transaction,"
        " kept for its usual 5 s), bindings in memory and one password for everybody. The gateway keeps an"
        " answer for 32 s, 131,072 of them at most."
    )
}
"""What has to be known of the other side of a comparison."""


def draw() -> None:
    """Write the page anew: a table of every claim, and one plot a file of results."""
    lines = [
        "# Benchmarks",
        "",
        "Drawn by `make bench`. Figures are of one machine and one run; ratios count, absolute numbers move.",
        "In the plots a red line is what is promised (bar), a green one what is wanted (aim).",
        "",
    ]
    for name, results in load().items():
        if not results:
            package = PACKAGES[name]
            lines += [f"## {name}", "", f"Not measured: the Debian package {package} was missing.", ""]
            continue
        lines += [
            f"## {name}",
            "",
            "| work | value | bar | aim | held | commit |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(result) for result in results]
        lines += ["", NOTES[name]] if name in NOTES else []
        lines += ["", f"![{name}](benchmarks/{name}.svg)", "", f"Machine: {results[0]['machine']}", ""]
        _plot(name, results)
    (DOCS / "benchmarks.md").write_text("\n".join(lines))


def _row(result: dict[str, Any]) -> str:
    value, bar, aim = result["value"], result["bar"], result["aim"]
    sign = "≤" if result["better"] == "lower" else "≥"
    held = "–"
    if bar is not None:
        held = "yes" if (value <= bar if result["better"] == "lower" else value >= bar) else "**no**"
    shown = [f"{sign} {limit:g}" if limit is not None else "–" for limit in (bar, aim)]
    cells = [result["work"], f"{value:g} {result['unit']}", *shown, held, result["commit"]]
    return f"| {' | '.join(cells)} |"


def _plot(name: str, results: list[dict[str, Any]]) -> None:
    """A panel for each unit, a bar for each claim; what was promised as a red line, what we aim at green."""
    units: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        units.setdefault(result["unit"], []).append(result)
    sizes = [len(of_unit) for of_unit in units.values()]
    height = 0.3 * sum(sizes) + 0.55 * len(units)
    figure, panels = pyplot.subplots(
        len(units),
        1,
        figsize=(9, height),
        height_ratios=[size + 1 for size in sizes],
        squeeze=False,
        layout="constrained",
    )
    for panel, (unit, of_unit) in zip(panels[:, 0], units.items(), strict=True):
        places = range(len(of_unit))
        values = [result["value"] for result in of_unit]
        drawn = panel.barh(places, values, color="#3b6ea5", height=0.7)
        panel.bar_label(drawn, [f" {value:g}" for value in values], fontsize=7)
        for limit, colour in (("bar", "#c0392b"), ("aim", "#27ae60")):
            kept = [
                (place, result[limit]) for place, result in enumerate(of_unit) if result[limit] is not None
            ]
            for place, at in kept:
                panel.vlines(at, place - 0.42, place + 0.42, color=colour, linewidth=2)
        panel.set_yticks(places, [result["work"].removeprefix(f"{name}: ") for result in of_unit], fontsize=7)
        panel.invert_yaxis()
        panel.margins(x=0.12)
        panel.tick_params(axis="x", labelsize=6)
        panel.set_title(unit, fontsize=8, loc="left")
    folder = DOCS / "benchmarks"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
