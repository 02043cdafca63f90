"""The table says what the record holds, and the README quotes the page word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import cases, table

CHECKOUT = Path(__file__).parents[2]


def record_of(network, ours, **others):
    return {"extra_info": {"network": network, "seconds": others}, "stats": {"data": ours}}


def record(benchmarks):
    machine = {"processor": "Abacus", "cores": 2, "load": 0.04, "versions": {"Python": "3.11.7"}}
    return {
        "machine_info": {"snstat": machine},
        "datetime": "2026-01-02T03:04:05+00:00",
        "benchmarks": benchmarks,
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0000123, "12.3 µs"), (0.0031, "3.10 ms"), (0.9999, "1,000 ms"), (63.04, "63.0 s")],
)
def test_times_have_three_digits(value, text):
    assert table.seconds(value) == text


def test_ratios_are_taken_within_a_round():
    assert table.ratio([1.0, 8.0, 9.0], [1.0, 2.0, 3.0]) == "3.00 (1.00–4.00)"


def test_a_network_has_a_line_for_each_peer_that_was_measured():
    with_torch = record_of("wide", [0.1], torch=[9.0], numpy=[20.0], floor=[0.05])
    (torch, wanted), (numpy, also_wanted) = table.network_lines(with_torch)
    assert torch.endswith(
        "| 100 ms | torch | 9.00 s ¹ | 90.0 (90.0–90.0) | ≥ 80 | 2.00 (2.00–2.00) |"
    )
    assert numpy.endswith("| numpy | 20.0 s ¹ | 200 (200–200) | — | 2.00 (2.00–2.00) |")
    assert (wanted, also_wanted) == (True, False)
    slow = record_of("wide", [0.2], torch=[9.0])
    assert "| 45.0 (45.0–45.0) | ≥ 80 (not reached) |" in next(iter(table.network_lines(slow)))[0]
    without = record_of("wide", [0.1], numpy=[20.0], floor=[0.05])
    assert [text for text, _ in table.network_lines(without)] == [numpy]


def test_a_network_without_peers_is_compared_with_the_floor():
    ((text, wanted),) = table.network_lines(record_of("million", [30.0], floor=[20.0]))
    assert text.endswith("| floor | 20.0 s | — | ≤ 1.5 of the floor | 1.50 (1.50–1.50) |")
    assert wanted


def test_every_kind_of_process_has_its_line():
    def stands(extra, data):
        return table.process_line({"extra_info": extra, "stats": {"data": data}})

    process = {"process": "help", "seconds": {"beside": [0.1]}}
    assert stands(process, [0.2]).endswith("| 100 ms | 2.00 (2.00–2.00) | < 3.0 |")
    assert stands({"arrays": 1.5}, [9.0]).endswith("| 1.50 | ≤ 3.0 |")
    assert stands({"pairs": [[0.3, 0.2]]}, [9.0]).endswith("| 1.50 (1.50–1.50) | about 1 |")
    assert stands({}, [9.0]) == "| first run, kernels compiled | 9.00 s | — | — | — | < 15 s |"


def test_writing_replaces_the_quote_and_nothing_else(tmp_path):
    page, readme = tmp_path / "docs" / "page.md", tmp_path / "README.md"
    readme.write_text(f"before\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n", "utf-8")
    found = record([record_of("million", [30.0], floor=[20.0])])
    for _ in range(2):
        table.write(found, page, readme)
        text = readme.read_text("utf-8")
        assert text.startswith(f"before\n\n{table.BEGIN}\n\n| network |")
        assert text.endswith(f"\n\n{table.END}\n\nafter\n")
        assert "old" not in text
    assert "Measured on 2026-01-02: Abacus, 2 cores, load 0.0 at the start; Python 3.11.7." in text


def test_the_readme_quotes_the_page():
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    page = (CHECKOUT / "docs" / "benchmarks.md").read_text("utf-8").splitlines()
    _, _, rest = readme.partition(table.BEGIN)
    quote, end, _ = rest.partition(table.END)
    assert end
    lines = [line for line in quote.splitlines() if line]
    assert len(lines) > 4
    assert [line for line in lines if line not in page] == []


def test_names_of_rows_are_unique():
    names = [row.name for row in (*cases.NETWORKS, *cases.PROCESSES)]
    assert len(set(names)) == len(names)
