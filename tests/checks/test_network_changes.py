"""The words that layers are named by, and which change is told."""

from __future__ import annotations

import pytest

from snstat.checks import network_remedies
from snstat.checks.chance import too_narrow
from snstat.checks.network_changes import _range, _scales
from snstat.checks.network_changes import repeated as blocks_of
from snstat.checks.network_clauses import Set, which
from snstat.checks.network_remedies import Attempt, network_remedy
from snstat.checks.rules import CODES
from snstat.network.editing import Draft
from snstat.network.network import Network
from tests.checks.cases import NORM, dense, network_case, network_of, repeated, residual

FOUR = network_of(*[dense() for _ in range(4)])
FIVE = network_of(*[dense() for _ in range(5)])
MIXED = network_of(*[residual(dense()) for _ in range(7)], dense())


@pytest.mark.parametrize(("network", "names", "words"), [
    (FIVE, "0", "dense layer 0"),
    (FIVE, "0 1", "dense layers 0 and 1"),
    (FIVE, "0 1 2", "dense layers 0, 1 and 2"),  # up to three are listed
    (FOUR, "0 1 2", "dense layers 0, 1 and 2"),
    (FIVE, "0 1 2 3", "all 5 dense layers but the last"),
    (FIVE, "1 2 3 4", "dense layers 1, 2, 3 and 4"),
    (FIVE, "0 1 2 3 4", "all 5 dense layers"),
    (MIXED, "0 1 2 3 4 5 6", "all 7 residuals"),
    (MIXED, "0 1 2 3 4 5", "all 7 residuals but the last"),
    (MIXED, "0 1 2 3 4", "residuals 0, 1, 2, 3 and 4"),
    (MIXED, "0.0 1.0 2.0 3.0 4.0 5.0 6.0 7", "all 8 dense layers"),
    (MIXED, "0.0 1.0 2.0 3.0 4.0 5.0 6.0", "all 8 dense layers but the last"),
    (MIXED, "6 7", "dense and residuals 6 and 7"),
])  # fmt: skip
def test_layers_in_words(network, names, words):
    assert which(Draft.of(network), names.split()) == words


@pytest.mark.parametrize(("names", "layers", "now"), [
    ("0", "dense layer 0", "2 from [defaults]"),
    ("1", "dense layer 1", "2"),  # its own
    ("0 1", "dense layers 0 and 1", "2"),
    ("0 2", "dense in [defaults]", "2"),  # all that have it from there
    ("0 1 2", "dense layer 1 and of dense in [defaults]", "2"),
])  # fmt: skip
def test_a_value_that_only_some_layers_have_by_default_is_said_to_be_from_there(names, layers, now):
    form = {
        "input": {"channels": 8},
        "defaults": {"dense": {"weight_gain": 2.0, "width": 8}},
        "layers": [{"kind": "dense"}, {"kind": "dense", "weight_gain": 2.0}, {"kind": "dense"}],
    }
    network = Network.read(form)
    draft = Draft.of(network, network.written)
    words = Set("weight_gain", names.split(), 1.0, "2").words(draft)
    assert words == f'set "weight_gain" of {layers} to 1 (now {now})'


@pytest.mark.parametrize(
    ("values", "words"),
    [((0.5,), "0.5"), ((0.5, 0.5), "0.5"), ((3.0, 1.0, 2.0), "1 to 3"), ((2.0, 1.0), "1 to 2")],
)
def test_ranges_in_words(values, words):
    assert _range(values) == words


# What each change leaves broken ("?": theory knows less, "!": a rule has nothing left to judge),
# what fewer layers do, and what is told.
CHOICES = [
    (["A other", "B", "C"], {}, "B"),
    (["A", "B"], {}, "A"),
    (["A other", "B other"], {}, "A"),
    (["A own", "B other", "C other"], {}, "B"),
    (["A own other", "B own"], {}, ""),
    (["A ?", "B other"], {}, "B"),
    (["A !", "B"], {}, "B"),
    (["A other !", "B other"], {}, "B"),
    (["A ?", "B"], {"": "shorter"}, "B"),
    (["A other"], {"": "shorter"}, "A"),
    (["A own"], {"": "shorter"}, "shorter"),
    (["A other"], {"other": "shorter"}, "A"),
    (["A own"], {"other": "shorter"}, "shorter"),
]
# The same where the other rule, which is broken as well, is not selected: a change may break no
# rule that held.
OF_SELECTED = [
    (["A other"], {}, "A"),
    (["A other", "B"], {}, "A"),
    (["A own"], {"other": "shorter"}, "shorter"),
    (["A third", "B other"], {}, "B"),
]


@pytest.mark.parametrize(("tried", "shorter", "told"), CHOICES)
def test_the_first_change_that_mends_all_is_told_else_the_first_that_does_no_harm(
    monkeypatch, tried, shorter, told
):
    assert _told(monkeypatch, tried, shorter, CODES) == told


@pytest.mark.parametrize(("tried", "shorter", "told"), OF_SELECTED)
def test_rules_that_are_not_selected_may_stay_broken(monkeypatch, tried, shorter, told):
    assert _told(monkeypatch, tried, shorter, {too_narrow.code}) == told


def _told(monkeypatch, tried, shorter, chosen):
    """Return the remedy of a network that breaks two rules."""
    case = network_case(dense())
    codes = {"own": too_narrow.code, "other": "SN101", "third": "SN102"}
    found = [Attempt(words[1:].split(), lambda name=words[0]: name) for words in tried]

    def holds(broken, allowed):
        return all(codes[name] in allowed for name in broken if name in codes)

    fakes = {
        "looked": lambda *_: True,
        "attempts": lambda *_: iter(found),
        "_holds": holds,
        "lost": lambda _, tried: "!" in tried,
        "_unknown": lambda tried, _: int(tried is not case and "?" in tried),
        "_shorter": lambda _case, _draft, allowed, _broken: shorter.get(
            "other" if allowed else "", ""
        ),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(network_remedies, name, fake)
    broken = {codes["own"], codes["other"]}
    return network_remedy(too_narrow, case, broken, chosen)


def test_scales_make_all_branches_add_as_much_as_the_stream_has():
    """1, 1/√N and 1/√(2N) for N residuals, whatever else the network has."""
    branch = residual(NORM, dense(), dense(), name="ffn")
    network = network_of({"kind": "block", "name": "body", "times": 6, "layers": [branch]}, dense())
    found = [change.network for change in _scales(Draft.of(network))]
    scales = [own.form()["layers"][0]["layers"][0].get("scale", 1.0) for own in found]
    assert scales == pytest.approx([0.408, 0.289], rel=1e-2)


def test_blocks_of_more_than_one_repetition_are_repeated():
    network = network_of(*[repeated(times, dense()) for times in (1, 2, 3)])
    assert [times for _, times in blocks_of(Draft.of(network))] == [2, 3]
