"""A run as HTML, for notebooks: the table of the terminal, without scripts or external files."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from snstat.report.columns import columns_of, rows_of
from snstat.report.glyphs import Glyphs
from snstat.report.module_words import closing
from snstat.report.network_words import network_words, sampling_words
from snstat.report.opening import opening, theory_words
from snstat.report.selection import usual
from snstat.report.text import page_layout, titled

if TYPE_CHECKING:
    from snstat.report.columns import Column
    from snstat.results import Check, Run

BARS = 64
CELL = "text-align: right; font-variant-numeric: tabular-nums"


def run_to_html(run: Run, check: Check | None = None) -> str:
    """Return `run` as an HTML fragment: title, the verdict `check`, table of layers 0, 1, 2, 4,
    ..."""
    glyphs = Glyphs()
    rows = rows_of(run, usual(run.subject).of(run.subject))
    lines = [
        '<div class="snstat-run">',
        f"<p><strong>{_safe(network_words(run.subject))}</strong><br>",
        f"{_safe(sampling_words(run.subject, run.simulation))}</p>",
        "<ul>",
        *(f"<li>{_safe(sentence.text)}</li>" for sentence in opening(run, check)),
        "</ul>",
    ]
    if rows:
        size = "variance" if run.module is None else "second moment"
        values = run.statistics[size.replace(" ", "_")].estimate[int(run.tokens > 0) :]
        bars = glyphs.bars(values, BARS)
        columns = columns_of(run, rows, page_layout(run))
        lines += [
            f"<p>{_safe(theory_words(run, columns))}</p>",
            *_table(titled(columns)),
            f"<p>{size} over depth <code>{bars}</code></p>",
        ]
    if run.module is not None:
        lines += ["<ul>", *(f"<li>{_safe(text)}</li>" for text in closing(run.module)), "</ul>"]
    lines.append("</div>")
    return "\n".join(lines)


def _table(columns: list[Column]) -> list[str]:
    """Return the lines of a table; a suspicious z is bold as well as marked."""
    heads = "".join(f'<th style="{CELL}">{_safe(column.header)}</th>' for column in columns)
    lines = ["<table>", f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
    for row in range(len(columns[0].cells)):
        cells = ""
        for column in columns:
            text = _safe(column.cells[row])
            strong = f"<strong>{text}</strong>" if row in column.suspicious else text
            cells += f'<td style="{CELL}">{strong}</td>'
        lines.append(f"<tr>{cells}</tr>")
    return [*lines, "</tbody>", "</table>"]


def _safe(text: str) -> str:
    return escape(Glyphs().text(text))
