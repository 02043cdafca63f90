"""CSV contains everything exactly; markdown and HTML contain the content of the table."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from snstat.checks.request import verdict_on
from snstat.report.glyphs import ascii_text
from snstat.report.html import run_to_html
from snstat.report.selection import parse_layers
from snstat.report.text import runs_to_csv, runs_to_markdown
from snstat.results import STATISTICS
from tests.report.builders import make_run


def test_csv_is_read_back_exactly() -> None:
    runs = [make_run(depth=5), make_run("relu", depth=3, growth=2.0, nonfinite_from=2)]
    rows = list(csv.DictReader(io.StringIO("".join(runs_to_csv(runs)))))
    assert [(row["activation"], int(row["layer"])) for row in rows] == [
        *(("selu", layer) for layer in range(6)),
        *(("relu", layer) for layer in range(4)),
    ]
    assert [row["run"] for row in rows] == ["1"] * 6 + ["2"] * 4
    for row, run in zip(rows, [runs[0]] * 6 + [runs[1]] * 4, strict=True):
        for key, value in (*dict(run.stack).items(), *dict(run.simulation).items()):
            if key == "drawn":  # follows from other fields, layer by layer
                assert key not in row
                continue
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            shown = " ".join(value) if isinstance(value, tuple) else shown
            assert row[key] == ("" if value is None else shown), key
    assert [row["finite"] for row in rows[6:]] == ["true", "true", "false", "false"]
    for row, layer in zip(rows, [*runs[0].layers, *runs[1].layers], strict=True):
        for name in STATISTICS:
            for suffix, value in zip(
                ("", "_stderr", "_theory", "_expected", "_neglected", "_z"),
                dict(layer.statistics[name]).values(),
                strict=True,
            ):
                text = row[name + suffix]
                assert text == "" if value is None else float(text) == value, (layer, name)


def test_csv_leaves_missing_statistics_empty() -> None:
    run = make_run(depth=1)
    rest = {name: run.statistics[name] for name in STATISTICS if name != "kurtosis"}
    (row, _) = csv.DictReader(runs_to_csv([replace(run, statistics=rest)]))
    assert (row["kurtosis"], row["kurtosis_z"]) == ("", "")
    assert row["dead_fraction"] == "0.0"


def test_csv_is_generated_row_by_row() -> None:
    lines = runs_to_csv([make_run(depth=100_000)])
    header = next(lines)
    assert ",layer,name,kind,shape,layer_sampler,finite,mean,mean_stderr," in header
    assert next(lines).startswith("1,selu,100000,1024,")


def test_markdown_shows_the_rows_and_the_conclusions() -> None:
    text = runs_to_markdown([make_run()], parse_layers("0,64"))
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert table[0][:4] == ["layer", "mean ± stderr", "mean theory", "mean z"]
    assert [row[0] for row in table[2:]] == ["0", "64"]
    assert {len(row) for row in table} == {len(table[0])}
    assert "- Squared gradients grow ×83 over 64 layers (theory)." in text
    assert text.startswith("### SELU · 64 layers of 1,024")
    assert "Side by side" in runs_to_markdown([make_run(), make_run("tanh")])


def test_markdown_escapes_special_characters() -> None:
    text = runs_to_markdown([make_run(inputs="a|b_<i>&c~d~.npy")])
    assert r"a\|b\_\<i>\&c\~d\~.npy" in text


def test_a_document_in_ascii_keeps_its_lines() -> None:
    text = runs_to_markdown([make_run(inputs="größe.npy")])
    plain = ascii_text(text)
    assert plain.isascii()
    assert "?" not in plain
    assert len(plain.splitlines()) == len(text.splitlines())
    assert "mean +/- stderr" in plain
    assert "8 trials x batch 64 - float32" in plain
    assert "gr\\xf6\\xdfe.npy" in plain
    assert ascii_text("gradient² × λ′ ▁█") == "gradient^2 x lambda' _#"


class _Tags(HTMLParser):
    """Check that tags nest, and collect the text of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells.append(data)


def test_html_is_well_formed_and_escapes() -> None:
    page = run_to_html(make_run(inputs="<script>alert(1)</script>", nonfinite_from=33))
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert "<script" not in page
    assert tags.cells[0] == "0"
    assert tags.cells.count("not finite") == 3
    assert "Not finite from layer 33 on" in page


def test_html_shows_large_scores_in_bold() -> None:
    run = make_run()
    changed = {**run.statistics}
    theory = changed["mean"].theory
    changed["mean"] = replace(
        changed["mean"], estimate=theory + 1.0, expected=theory, neglected=np.zeros_like(theory)
    )
    page = run_to_html(replace(run, statistics=changed))
    assert "!</strong>" in page
    assert "<strong>+" not in run_to_html(make_run())


def test_a_run_has_html_for_notebooks() -> None:
    run = make_run()
    assert run._repr_html_() == run_to_html(run, verdict_on(run))
    assert repr(run).startswith("SELU · 64 layers of 1,024")
    assert "Verdict: self-normalizing" in repr(run)
    assert {"mean", "cosine", "to_frame"} <= set(dir(run))


def test_a_run_without_layers_has_no_table() -> None:
    run = make_run(completed=-1)
    assert "<table>" not in run_to_html(run)
    assert "| layer" not in runs_to_markdown([run])


@pytest.mark.parametrize("name", ["second_moment", "dead_fraction"])
def test_statistics_missing_everywhere_are_not_shown(name: str) -> None:
    from snstat.report.columns import has_news

    run = make_run()
    unknown = replace(run.statistics[name], estimate=np.full(65, np.nan))
    assert not has_news(replace(run, statistics={**run.statistics, name: unknown}), name)
    assert not has_news(replace(run, statistics={}), name)
