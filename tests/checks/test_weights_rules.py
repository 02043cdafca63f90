"""Rules of weights, on records made by hand: which tensors they count, and what they say."""

from __future__ import annotations

import math

import pytest

from snstat.activation import resolve
from snstat.checks.weights_judge import judge_weights
from snstat.checks.weights_rule import WeightsCase
from snstat.checks.weights_rules import WEIGHTS_RULES
from snstat.results import Rows, Scheme, Skipped, Spread, TensorWeights, Weights

NONE = Rows(0, ())
CUT = "lecun_truncated_uncorrected"


def tensor(name, *schemes, gain=0.5765, dead=NONE, broken=NONE, high=1.0):
    """Return what a matrix is that these schemes fit."""
    spread = Spread(0.0, -1.0, high)
    fitting = tuple(Scheme(scheme, 0.0) for scheme in schemes)
    return TensorWeights(name, (3, 4), "float32", "torch", 4, 3, gain, fitting, spread, spread,
                         0.5, 1.0, 3.0, dead, NONE, broken)  # fmt: skip


def judged(*tensors, skipped=(), activation=None, codes=WEIGHTS_RULES, base=None, **declared):
    case = WeightsCase(Weights("w.npz", tensors, skipped), activation and resolve(activation),
                       baseline=base or {}, **declared)  # fmt: skip
    return judge_weights(case, codes, name="w", baseline="base.json" if base else None)


def said(code, *tensors, **others):
    """Return what a rule says of these tensors, or None, and the value that it sees."""
    found = judged(*tensors, codes={code}, **others).findings
    return (found[0].message, found[0].value) if found else None


TORCH, HE, NOTHING = tensor("a", "torch_default"), tensor("b", "he_normal"), tensor("c", gain=None)


@pytest.mark.parametrize(("tensors", "expected"), [
    ((HE,), None),
    ((TORCH,), (("a: not drawn with he_normal; the first looks like torch_default (gain 0.5765);"
                " draw it with he_normal"), 1.0)),
    ((HE, NOTHING), (("c: not drawn with he_normal; the first looks like no named scheme;"
                     " draw it with he_normal"), 1.0)),
    ((NOTHING, HE, TORCH), (("c and 1 other: not drawn with he_normal; the first looks like no"
                            " named scheme; draw it with he_normal"), 2.0)),
    ((TORCH, TORCH, TORCH), (("a and 2 others: not drawn with he_normal; the first looks like"
                             " torch_default (gain 0.5765); draw it with he_normal"), 3.0)),
])  # fmt: skip
def test_weights_of_another_initialiser_than_the_one_given(tensors, expected):
    assert said("SN604", *tensors, init="he_normal") == expected


@pytest.mark.parametrize(("base", "expected"), [
    ({"a": ("he_normal", "torch_default")}, None),  # one of its names still fits
    ({"a": ()}, None),  # no name fitted
    ({"z": ("he_normal",)}, None),
    ({"a": ("he_normal", "x"), "b": ("y",)},
     (("a and 1 other: not drawn with he_normal; the first looks like torch_default (gain 0.5765);"
      " draw it with he_normal, or accept the change with --write-baseline"), 2.0)),
    ({"b": ("y",)},
     (("b: not drawn with y; the first looks like he_normal (gain 0.5765);"
      " draw it with y, or accept the change with --write-baseline"), 1.0)),
])  # fmt: skip
def test_weights_of_another_initialiser_than_in_the_baseline(base, expected):
    assert said("SN604", TORCH, HE, base=base) == expected


@pytest.mark.parametrize(("tensors", "words"), [
    ((tensor("a", CUT),), ("a: drawn as lecun_truncated without its correction; the variance is"
     " 0.774 of that of the scheme; divide the standard deviation by 0.87962566")),
    ((tensor("a", CUT, "lecun_normal"),), None),  # another scheme fits
    ((HE, tensor("a", CUT), tensor("d", CUT)), ("a and 1 other: drawn as lecun_truncated without"
     " its correction; the variance is 0.774 of that of the scheme; divide the standard deviation"
     " by 0.87962566")),
    ((NOTHING,), None),
])  # fmt: skip
def test_weights_that_were_cut_and_not_corrected(tensors, words):
    # The variance of a standard normal cut at ±2: 1 − 4 φ(2)/(2 Φ(2) − 1).
    density = math.exp(-2.0) / math.sqrt(2.0 * math.pi)
    left = 1.0 - 4.0 * density / math.erf(math.sqrt(2.0))
    found = said("SN605", *tensors)
    assert found == (None if words is None else (words, pytest.approx(left, rel=1e-12)))


@pytest.mark.parametrize(("activation", "tensors", "words"), [
    ("selu", (HE, TORCH), ("a: drawn with torch_default (gain 0.5765) under selu; draw it with"
     " lecun_normal")),
    ("tanh", (TORCH, tensor("d", "torch_default", gain=0.7)), ("a and 1 other: drawn with"
     " torch_default (gain 0.5765) under tanh; draw it with lecun_normal")),
    ("relu", (TORCH,), None),  # neither has a target nor saturates
    (None, (TORCH,), None),
    ("selu", (tensor("a", "torch_default", "uniform(limit=0.05)"),), None),
])  # fmt: skip
def test_the_default_of_pytorch_under_an_activation_that_needs_another(activation, tensors, words):
    found = said("SN606", *tensors, activation=activation)
    assert found == (None if words is None else (words, 0.5765))


ONE, TWO = Rows(1, (7,)), Rows(2, (4, 6))


@pytest.mark.parametrize(("code", "key", "says"), [
    ("SN602", "broken", "holds values that are not finite"), ("SN603", "dead", "is 0"),
])  # fmt: skip
@pytest.mark.parametrize(("rows", "where", "others", "count"), [
    ((ONE,), "row 7 of t0", "", 1),
    ((TWO,), "row 4 of t0", ", the first of 2 such rows", 2),
    ((NONE, TWO, ONE), "row 4 of t1", ", the first of 3 such rows in 2 matrices", 3),
    ((NONE,), None, "", 0),
])  # fmt: skip
def test_rows_are_counted_over_all_matrices(code, key, says, rows, where, others, count):
    tensors = [tensor(f"t{number}", **{key: entry}) for number, entry in enumerate(rows)]
    found = said(code, *tensors)
    if where is None:
        assert found is None
    else:
        assert found[0].startswith(f"{where} {says}{others}; ")
        assert found[1] == count


def test_a_matrix_of_zeros_has_no_dead_rows():
    assert said("SN603", tensor("a", dead=Rows(3, (0, 1, 2)), high=0.0)) is None


def test_values_of_vectors_count_where_no_matrix_has_any():
    skipped = (Skipped("g", "one axis"), Skipped("h", "one axis", 2), Skipped("i", "one axis", 3))
    words = "h holds values that are not finite; go back to a checkpoint from before"
    assert said("SN602", HE, skipped=skipped) == (words, 5.0)
    assert said("SN602", tensor("a", broken=ONE), skipped=skipped)[1] == 1.0


@pytest.mark.parametrize(("options", "notes"), [
    ({}, ["SN604 and SN606 not judged: give --init and --activation"]),
    ({"init": "he_normal"}, ["SN606 not judged: give --activation"]),
    ({"activation": "relu"}, ["SN604 not judged: give --init"]),
    ({"init": "he_normal", "activation": "relu"}, []),
    ({"codes": {"SN602"}}, []),
    ({"base": {"b": ("he_normal",)}, "activation": "relu"}, []),
    ({"base": {"b": (), "x": (), "y": ()}, "activation": "relu"},
     ["2 matrices of the baseline are not here, such as x"]),
    ({"base": {"x": ()}, "activation": "relu"}, ["x of the baseline is not here"]),
])  # fmt: skip
def test_what_was_not_judged_is_noted(options, notes):
    assert list(judged(HE, **options).notes) == notes
    if "base" not in options:
        assert list(judged(**options).notes) == [*notes, "the file has no weight matrices"]


def test_the_verdict_is_that_of_the_rules_that_have_one():
    assert judged(HE).verdict == "sound"
    assert judged(tensor("a", dead=ONE)).verdict == "sound"
    broken = judged(tensor("a", broken=ONE, dead=ONE), codes={"SN603"})
    assert (broken.verdict, [finding.code for finding in broken.findings]) == (
        "non-finite",
        ["SN603"],
    )
    subject = judged(HE, TORCH, skipped=(Skipped("g", "one axis"),), activation="selu").subject
    assert (subject.file, subject.matrices, subject.others) == ("w.npz", 2, 1)
    assert (subject.activation, subject.init) == ("selu", None)
