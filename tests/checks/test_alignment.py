"""What layers without a name are called in a network in which others stand between them."""

from __future__ import annotations

import itertools
import random

import pytest

import snstat
from snstat.checks import alignment
from snstat.checks.alignment import Alignment, _aligned
from snstat.checks.matching import places, unmatched
from tests.checks.cases import NORM, dense, network_of

SAMPLING = {"batch": 8, "trials": 8}
SAME = {"kind": "scale", "factor": 1.0}
RELU, TANH = dense(64, "relu"), dense(64, "tanh")
PLAIN = [RELU, RELU, TANH, RELU, dense(10)]
# Three turns of a residual in a block, of which nothing has a name.
BRANCH = {"kind": "residual", "layers": [NORM, RELU, dense(64)], "shortcut": [dense(64)]}
LONGER = BRANCH | {"layers": [NORM, SAME, RELU, dense(64)], "shortcut": [SAME, dense(64)]}
NESTED = [RELU, {"kind": "block", "times": 3, "layers": [BRANCH]}, dense(10)]
DEEPER = [RELU, SAME, {"kind": "block", "times": 3, "layers": [SAME, LONGER]}, dense(10)]


def form(layers):
    return network_of(*layers, channels=64).form()


def called(ours, theirs):
    """Return what every row of a network is called in another one."""
    there = Alignment(form(ours), form(theirs))
    return {row.name: there.name(row.name) for row in network_of(*ours, channels=64).rows()}


@pytest.mark.parametrize("place", range(6))
def test_an_inserted_layer_shifts_the_places_of_those_behind_it(place):
    longer = [*PLAIN[:place], SAME, *PLAIN[place:]]
    expected = {str(n): str(n - (n > place)) for n in range(6)} | {str(place): None}
    assert called(longer, PLAIN) == expected
    expected = {str(n): str(n + (n >= place)) for n in range(5)}
    assert called(PLAIN, longer) == expected


def test_layers_within_containers_are_aligned_with_those_of_their_counterparts():
    found = called(NESTED, DEEPER)
    for turn in range(3):
        own, there = f"1.{turn}.0", f"2.{turn}.1"
        assert found[own] == there
        assert [found[f"{own}.{n}"] for n in range(3)] == [f"{there}.{n}" for n in (0, 2, 3)]
        assert found[f"{own}.shortcut.0"] == f"{there}.shortcut.1"
    assert found["2"] == "3"


def test_names_count_and_not_places():
    named = [RELU | {"name": "a"}, RELU, TANH | {"name": "b"}]
    turned = [TANH | {"name": "b"}, RELU, RELU | {"name": "a"}]
    assert called(named, turned) == {"a": "a", "1": "1", "b": "b"}
    # A layer with a name has no counterpart without one.
    assert called(named, [RELU, RELU, TANH]) == {"a": None, "1": "0", "b": None}


def test_repetitions_have_no_counterpart_without_any():
    once = {"kind": "block", "layers": [BRANCH]}
    assert called(NESTED, [RELU, once, dense(10)])["1.0.0.1"] is None
    assert called([RELU, once], NESTED)["1.0.1"] is None


def test_the_best_alignment_of_short_lists_is_found():
    """Beside all alignments: as many of one kind as possible, then as many equal ones."""
    kinds, generator = [RELU, TANH, NORM], random.Random(0)
    for _ in range(400):
        ours, theirs = (generator.choices(kinds, k=generator.randrange(5)) for _ in range(2))

        def alike(pairs, ours=ours, theirs=theirs):
            return all(ours[i]["kind"] == theirs[j]["kind"] for i, j in pairs)

        def worth(pairs, ours=ours, theirs=theirs):
            return len(pairs), sum(ours[i] == theirs[j] for i, j in pairs)

        found = _aligned(ours, theirs)
        assert found == sorted(found)
        assert alike(found)
        every = (
            [*zip(first, second, strict=True)]
            for size in range(min(len(ours), len(theirs)) + 1)
            for first in itertools.combinations(range(len(ours)), size)
            for second in itertools.combinations(range(len(theirs)), size)
        )
        assert worth(found) == max(worth(pairs) for pairs in every if alike(pairs))


def test_more_pairs_come_before_equal_ones():
    assert _aligned([TANH, RELU], [RELU, TANH]) == [(0, 0), (1, 1)]


def test_of_very_many_layers_those_of_one_place_are_pairs(monkeypatch):
    monkeypatch.setattr(alignment, "MOST_PAIRS", 1)
    ours, theirs = [RELU, SAME, TANH, NORM, RELU], [RELU, TANH, NORM, NORM, SAME, RELU]
    # Equal ends are aligned all the same; between them 1 and 2 are of other kinds.
    assert _aligned(ours, theirs) == [(0, 0), (3, 3), (4, 5)]


@pytest.mark.parametrize(("more", "words"), [
    (1, "1"), (3, "1, 2, 3"), (4, "1, 2, 3 and 1 more"), (5, "1, 2, 3 and 2 more"),
])  # fmt: skip
def test_three_layers_are_named_and_more_are_counted(more, words):
    short, longer = (
        snstat.propagate(network_of(RELU, *[SAME] * count, RELU, channels=64), **SAMPLING)
        for count in (0, more)
    )
    how = "layers are matched by name and kind: "
    assert unmatched(longer, short) == [f"{how}{words} not in the baseline"]
    assert unmatched(short, longer) == [f"{how}{words} only in the baseline"]


@pytest.mark.parametrize("same_seed", [False, True])
def test_an_inserted_layer_without_a_name_is_one_note(tmp_path, same_seed):
    longer = network_of(*PLAIN[:1], SAME, *PLAIN[1:], channels=64)
    baseline = snstat.propagate(network_of(*PLAIN, channels=64), **SAMPLING)
    snstat.save(baseline, tmp_path / "base.json")
    found = snstat.check(
        longer,
        baseline=tmp_path / "base.json",
        same_seed=same_seed,
        select=["SN701"],
        **SAMPLING,
    )
    assert found.passed
    (note,) = [note for note in found.notes if "matched" in note]
    assert note == "layers are matched by name and kind: 1 not in the baseline"
    run = snstat.propagate(longer, **SAMPLING)
    assert places(run, baseline).tolist() == [0, 1, -1, 2, 3, 4, 5]
    assert unmatched(baseline, run) == [
        "layers are matched by name and kind: 1 only in the baseline"
    ]
