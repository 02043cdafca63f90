"""One cell: its key, its rows, its verdict, and what goes wrong."""

from __future__ import annotations

import math
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

import snstat
from snstat.checks.network_known import NetworkKnown
from snstat.checks.request import verdict_on
from snstat.experiment.plan import Plan
from snstat.network.network import Network
from snstat.sweeps.cell import Cell
from snstat.sweeps.room import Room
from snstat.sweeps.running import PARTS, Running, columns_of, run_cell
from snstat.sweeps.subject import SweepSubject
from snstat.sweeps.sweeping import Progress
from snstat.sweeps.theories import Shared
from snstat.theory.known import Known
from tests.sweeps.grids import AXES, SMALL

FORM = {
    "input": {"channels": "=width"},
    "parameters": {"width": 8, "depth": 2},
    "layers": [
        {"kind": "block", "times": "=depth", "layers": [{"kind": "dense", "width": "=width"}]},
        {"kind": "layer_norm"},
        {"kind": "dense", "width": 4, "activation": "tanh"},
    ],
}


def subject():
    return SweepSubject.of_form(FORM, "net.toml")


def same(mine, other):
    """Compare numbers of two sources, of which missing ones are NaN or None."""
    mine, other = (math.nan if value is None else value for value in (mine, other))
    return mine == other or (math.isnan(mine) and math.isnan(other))


def table(outcome, cell):
    """Return the rows of an outcome as dictionaries."""
    place = [*columns_of(cell)].index("layer")
    names = [*columns_of(cell)][place:-2]
    return [dict(zip(names, row, strict=True)) for row in outcome.rows]


def test_the_table_names_a_network_or_a_module():
    assert "subject" not in Cell(SweepSubject()).values()
    assert Cell(subject()).values()["subject"] == "net"
    assert subject().column("subject") == "set.subject"
    assert Cell(SweepSubject.of("models:net")).values()["subject"] == "models:net"


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_rows_are_those_of_propagate_and_the_verdict_that_of_check(gain):
    options = {**SMALL, "activation": "relu", "width": 8, "weight_gain": gain, "seed": 3}
    cell = Cell(SweepSubject(), options)
    outcome = run_cell(cell)
    run = snstat.propagate(**options, threads=1)
    assert len(outcome.rows) == 4
    for row, layer in zip(table(outcome, cell), run.layers, strict=True):
        assert (row["layer"], row["name"]) == (layer.layer, layer.name)
        for name in cell.subject.statistics:
            for part in PARTS:
                assert same(row[f"{name}_{part}"], layer.statistics[name][part]), (name, part)
    plan = Plan.build(**options, threads=1)
    assert outcome.verdict == verdict_on(run, plan).verdict
    assert outcome.error == ""
    assert outcome.values["layers"] == 3


def test_rows_of_a_network_file():
    cell = Cell(subject(), {"batch": 4, "trials": 2, "backward": True}, {"depth": 3})
    outcome = run_cell(cell)
    network = Network.read(FORM, set={"depth": 3}, name="net")
    run = snstat.propagate(network, batch=4, trials=2, backward=True, threads=1)
    assert [row["name"] for row in table(outcome, cell)] == [layer.name for layer in run.layers]
    for row, layer in zip(table(outcome, cell), run.layers, strict=True):
        for name in set(cell.subject.statistics) & layer.statistics.keys():
            for part in PARTS:
                assert same(row[f"{name}_{part}"], layer.statistics[name][part]), (name, part)
    # The parameter is a column, beside the number of layers.
    assert (outcome.values["depth"], outcome.values["width"], outcome.values["layers"]) == (3, 8, 5)
    assert outcome.verdict == verdict_on(run).verdict


@pytest.mark.parametrize("of", ["stack", "network"])
def test_theory_alone_is_that_beside_a_simulation(of):
    options = {"batch": 4, "backward": True}
    if of == "stack":
        options |= {"activation": "tanh", "depth": 4, "width": 64, "weight_gain": 1.5}
    chosen = SweepSubject() if of == "stack" else subject()
    alone, beside = Cell(chosen, options, theory=True), Cell(chosen, {**options, "trials": 1})
    mine, other = run_cell(alone), run_cell(beside)
    assert mine.error == other.error == ""
    for row, seen in zip(table(mine, alone), table(other, beside), strict=True):
        for name in chosen.statistics:
            assert row[f"{name}_estimate"] is row[f"{name}_stderr"] is None
            for part in ("theory", "expected"):
                assert same(row[f"{name}_{part}"], seen[f"{name}_{part}"]), (name, part)
    assert mine.verdict


@pytest.mark.parametrize(
    ("chosen", "theory"),
    [(SweepSubject(), Known), (subject(), NetworkKnown)],
    ids=["stack", "network"],
)
def test_shared_theory_is_made_once_and_changes_nothing(chosen, theory, monkeypatch):
    made, plain = [], theory.__init__

    def counted(self, *of, **more):
        made.append(of)
        plain(self, *of, **more)

    own = {"backward": True, "batch": 4, "width": 8, "depth": 3, "trials": 2}
    options = {name: value for name, value in own.items() if name in chosen.options}
    cells = [
        Cell(chosen, {**options, "input_std": std, "seed": seed})
        for std in (1.0625, 1.1875)  # of no other test
        for seed in (0, 1)
    ]
    shared = Shared()
    with monkeypatch.context() as patch:
        patch.setattr(theory, "__init__", counted)
        found = [run_cell(cell, shared) for cell in cells]
    assert len(made) == 2
    for mine, cell in zip(found, cells, strict=True):
        other = run_cell(cell)
        assert mine.error == ""
        assert (mine.verdict, mine.key) == (other.verdict, other.key)
        np.testing.assert_array_equal(
            np.array([row[2:] for row in mine.rows], dtype=float),
            np.array([row[2:] for row in other.rows], dtype=float),
        )


@pytest.mark.parametrize(("layers", "kept"), [("last", [9]), ("log", [0, 1, 2, 4, 8, 9])])
def test_some_rows_are_kept(layers, kept):
    options = {**SMALL, "depth": 9, "width": 8}
    cell = Cell(SweepSubject(), options, layers=layers)
    found = run_cell(cell)
    every = run_cell(Cell(SweepSubject(), options)).rows
    np.testing.assert_array_equal(
        np.array([row[2:] for row in found.rows], dtype=float),
        np.array([every[layer][2:] for layer in kept], dtype=float),
    )
    assert [row[0] for row in found.rows] == kept


def test_a_key_is_that_of_what_changes_a_number(tmp_path):
    def key(**options):
        return Cell(SweepSubject(), options).key

    assert key() == key(depth=64) == key(width=1024, seed=0, batch=64, inputs="normal")
    different = [key(), key(depth=63), key(seed=1), key(trials=7), key(dtype="float64")]
    different += [key(widths="8,8"), Cell(SweepSubject(), theory=True).key, Cell(subject()).key]
    different += [Cell(subject(), {}, {"depth": 3}).key]
    assert len(set(different)) == len(different)
    assert key().startswith(f"{'.'.join(snstat.__version__.split('.')[:2])}-")
    data = tmp_path / "data.npy"
    np.save(data, np.eye(4))
    before = key(inputs=str(data), width=4)
    np.save(data, 2.0 * np.eye(4))
    assert key(inputs=str(data), width=4) != before


def test_a_key_is_of_the_code_and_the_files_that_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("swept_here.py", "swept_loss.py", "graph.onnx", "weights.npz", "config.json"):
        Path(name).write_text("A = 1\n")
    settings = {"weights": "weights.npz", "loss": "swept_loss:loss"}

    def keys():
        targets = ("swept_here:f", "keras:swept_here:f", "graph.onnx", "hf:config.json", "hf:.")
        found = [Cell(SweepSubject.of(target)).key for target in targets]
        cell = Cell(SweepSubject.of("nowhere_at_all:f"), settings)
        return [*found, cell.key], cell

    before, cell = keys()
    assert keys()[0] == before
    changed = {
        "swept_here.py": [0, 1],
        "graph.onnx": [2],
        "config.json": [3, 4],
        "weights.npz": [5],
        "swept_loss.py": [5],
    }
    for name, places in changed.items():
        Path(name).write_text(f"B = 22 of {name}\n")
        after = keys()[0]
        assert [i for i, key in enumerate(after) if key != before[i]] == places, name
        before = after
    # A worker does not look at files of its own.
    first, sent = cell.key, pickle.loads(pickle.dumps(cell))  # noqa: S301  # our own
    Path("weights.npz").unlink()
    assert sent.key == first != keys()[0][-1]


def test_cells_and_outcomes_can_be_sent():
    cell = Cell(subject(), {"batch": 4, "trials": 1})
    sent = pickle.loads(pickle.dumps(cell))  # noqa: S301  # our own
    assert sent.key == cell.key
    assert pickle.loads(pickle.dumps(run_cell(cell))).rows  # noqa: S301


def test_what_is_wrong_with_a_cell_is_its_error(monkeypatch):
    wide = Cell(SweepSubject(), {"width": 2**28, "depth": 2, "sampler": "dense"})
    assert "memory needed" in run_cell(wide).error
    contradictory = Cell(SweepSubject(), {"depth": 2, "widths": "4,4"})
    outcome = run_cell(contradictory)
    assert outcome.rows == ()
    assert outcome.error.startswith("depth is 2, but must be left out with widths")

    def broken(*_args, **_options):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("snstat.sweeps.running.Running.outcome", broken)
    assert run_cell(Cell(SweepSubject(), SMALL)).error == "ZeroDivisionError: a defect"


def test_cells_wait_for_memory():
    """One waits while two others hold what there is, and goes on when there is enough again."""
    room = Room()
    room.free = 10.0
    asked, goes_on = threading.Event(), threading.Event()

    def wait():
        asked.set()
        with room.take(5.0):
            goes_on.set()

    waiting = threading.Thread(target=wait, daemon=True)
    with room.take(6.0):
        with room.take(4.0):
            waiting.start()
            assert asked.wait(10.0)
            assert not goes_on.wait(0.1)
        # 4 of 10 are free.
        assert not goes_on.wait(0.1)
    assert goes_on.wait(10.0)
    waiting.join(10.0)
    room.free = 24.0 * 2**30
    words = r"'24.04 GiB', but must be at most 24.00 GiB, what is free"
    with pytest.raises(ValueError, match=words), room.take(24.04 * 2**30):
        pass


def test_the_time_left_rests_on_cells_that_end(monkeypatch):
    """2 of 10 end in 4 s: 16 s are left; after 4 s more without a cell, nobody knows."""
    monkeypatch.setattr("snstat.sweeps.sweeping.time.monotonic", lambda: now)
    now = 100.0
    progress = Progress(13, 3, began=now)
    assert (progress.left, progress.seconds_left) == (10, None)
    progress.done, progress.ended, now = 2, 104.0, 104.0
    assert (progress.left, progress.seconds_left) == (8, 16.0)
    now = 107.0
    assert progress.seconds_left == 28.0
    now = 108.5
    assert progress.seconds_left is None
    progress.done, progress.ended = 3, 108.5
    assert progress.seconds_left == pytest.approx(8.5 / 3 * 7)


def test_a_cell_holds_the_memory_that_its_plan_needs(monkeypatch):
    room, held = Room(), []
    plain = Running.outcome

    def outcome(self):
        held.append(room._taken)
        return plain(self)

    monkeypatch.setattr(Running, "outcome", outcome)
    small = {**SMALL, "width": 8}
    cells = [Cell(SweepSubject(), small), Cell(subject(), {"batch": 4, "trials": 2})]
    cells.append(Cell(SweepSubject(), small, theory=True))
    assert [run_cell(cell, room=room).error for cell in cells] == ["", "", ""]
    stack, network, _ = (cell.plan() for cell in cells)
    assert held == [stack.footprint(stack.sampler), network.needed()[0], 0.0]
    assert 0.0 not in held[:2]
    # What is given back is free again, also where a cell failed.
    monkeypatch.setattr(Running, "outcome", lambda _: 1 / 0)
    assert "ZeroDivisionError" in run_cell(cells[0], room=room).error
    assert room._taken == 0.0


def test_sweep_cells_are_those_of_a_sweep():
    cells = [*snstat.sweep_cells("relu", AXES, **SMALL)]
    assert len({cell.key for cell in cells}) == 8
    found = snstat.sweep("relu", AXES, **SMALL)
    assert list(dict.fromkeys(found["cell"])) == [cell.key for cell in cells]
    rows = [row for cell in cells for row in snstat.run_cell(cell).rows]
    names = [name for name in found.keys() if name.endswith("_estimate")]  # noqa: SIM118
    for name, column in zip(names, range(2, 2 + 4 * len(names), 4), strict=True):
        np.testing.assert_array_equal(
            found[name], np.array([row[column] for row in rows], dtype=float), err_msg=name
        )


@pytest.mark.parametrize(
    "given",
    [{"init": "he_normal"}, {"weight_gain": math.sqrt(2.0)}, {"bias_std": 0.0}, {"last": "relu"}],
)
def test_a_default_that_is_given_is_the_same_cell(given):
    options = {"activation": "relu", "depth": 3, "width": 8}
    plain, same = (Cell(SweepSubject(), options | more) for more in ({}, given))
    assert plain.key == same.key
    assert plain.values() == same.values() | {"layers": None}
    assert plain.values()["init"] == "he_normal"
    assert plain.values()["weight_gain"] == math.sqrt(2.0)


def test_what_depends_on_others_is_no_other_default():
    """A gain beside another initialiser; and biases of a law of their own."""
    options = {"activation": "relu", "depth": 3, "width": 8}
    changes = [{}, {"init": "lecun_normal"}, {"weight_gain": 1.0}, {"weight_std": 0.5}]
    changes += [{"init": "torch_default"}, {"last": "identity"}, {"bias_std": 0.1}]
    changes += [{"init": "torch_default", "bias_std": 0.25}]
    cells = [Cell(SweepSubject(), options | more) for more in changes]
    assert len({cell.key for cell in cells}) == len(cells)
    drawn = cells[4].values()
    assert drawn["bias_std"] is None
    assert drawn["init"] == "torch_default"
