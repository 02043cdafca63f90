"""The tables show the content of the record."""

from __future__ import annotations

import pytest

from tests.benchmarks import cases, table


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
    torch, numpy = table.network_lines(with_torch)
    assert torch.endswith(
        "| 100 ms | torch | 9.00 s ¹ | 90.0 (90.0–90.0) | ≥ 80 | 2.00 (2.00–2.00) |"
    )
    assert numpy.endswith("| numpy | 20.0 s ¹ | 200 (200–200) | — | 2.00 (2.00–2.00) |")
    slow = record_of("wide", [0.2], torch=[9.0])
    assert "| 45.0 (45.0–45.0) | ≥ 80 (not reached) |" in next(iter(table.network_lines(slow)))
    without = record_of("wide", [0.1], numpy=[20.0], floor=[0.05])
    assert list(table.network_lines(without)) == [numpy]


def test_a_network_without_peers_is_compared_with_the_floor():
    (text,) = table.network_lines(record_of("million", [30.0], floor=[20.0]))
    assert text.endswith("| floor | 20.0 s | — | ≤ 1.5 of the floor | 1.50 (1.50–1.50) |")


def test_every_kind_of_process_has_its_line():
    def stands(extra, data):
        return table.process_line({"extra_info": extra, "stats": {"data": data}})

    process = {"process": "help", "seconds": {"beside": [0.1]}}
    assert stands(process, [0.2]).endswith("| 100 ms | 2.00 (2.00–2.00) | < 3.0 |")
    assert stands({"arrays": 1.5}, [9.0]).endswith("| 1.50 | ≤ 3.0 |")
    assert stands({"pairs": [[0.3, 0.2]]}, [9.0]).endswith("| 1.50 (1.50–1.50) | about 1 |")
    assert stands({}, [9.0]) == "| first run, kernels compiled | 9.00 s | — | — | — | < 15 s |"


def test_missed_targets_are_marked():
    def stands(extra, data):
        return table.process_line({"extra_info": extra, "stats": {"data": data}})

    process = {"process": "help", "seconds": {"beside": [0.1, 0.1, 0.1]}}
    assert stands(process, [0.29, 0.31, 0.31]).endswith("| < 3.0 (not reached) |")
    assert stands(process, [0.31, 0.29, 0.29]).endswith("| < 3.0 |")
    assert stands({"arrays": 3.1}, [9.0]).endswith("| ≤ 3.0 (not reached) |")
    assert stands({"arrays": 3.0}, [9.0]).endswith("| ≤ 3.0 |")
    assert stands({}, [15.0, 15.0, 9.0]).endswith("| < 15 s (not reached) |")
    (text,) = table.network_lines(record_of("million", [31.0], floor=[20.0]))
    assert "| ≤ 1.5 of the floor (not reached) |" in text


def test_the_page_has_every_row(tmp_path):
    page = tmp_path / "docs" / "page.md"
    table.write(record([record_of("million", [30.0], floor=[20.0])]), page)
    text = page.read_text("utf-8")
    assert "Measured on 2026-01-02: Abacus, 2 cores, load 0.0 at the start; Python 3.11.7." in text
    assert "| width 1,000,000, batch 64, 64 layers, forward | 30.0 s |" in text


def test_names_of_rows_are_unique():
    names = [row.name for row in (*cases.NETWORKS, *cases.PROCESSES)]
    assert len(set(names)) == len(names)
