"""Rules of networks are compared with closed forms and plain simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

import snstat
from snstat.checks.applying import lost, not_applied, obstacle_of
from snstat.checks.certainty import CHANCE, spread_of_logs
from snstat.checks.judge import judge
from snstat.checks.rules import CODES, RULES
from snstat.network.network import Network
from snstat.network.sources import sourced
from tests.checks.cases import (
    DROPPED,
    NORM,
    STREAM,
    case,
    dense,
    network_case,
    network_of,
    repeated,
    residual,
)

DROPOUT = {"kind": "dropout", "rate": 0.1}
BATCH_NORM = {"kind": "batch_norm"}
RELU = {"kind": "activation", "activation": "relu"}
MULTIPLY = {"kind": "multiply", "inputs": ["a", "previous"]}
FFN = residual(NORM, dense(1024, "gelu"), DROPOUT, dense())
SOUND = {
    "funnel": [dense(512, "relu"), dense(128, "relu"), dense(10)],
    "wide before few": [dense(8192, "relu"), dense(2, "relu"), dense(2)],
    "pre-norm": [repeated(48, FFN), NORM, dense(10)],
    "scaled": [repeated(48, FFN | {"scale": 1 / math.sqrt(96)}), NORM, dense(10)],
    "post-norm": [repeated(24, residual(dense(1024, "relu"), dense()), NORM), dense(10)],
    "batch norm": [repeated(12, dense(), {"kind": "batch_norm"}, dense(activation="relu"))],
    "half dropped": [DROPOUT | {"rate": 0.2}, dense(activation="relu"), DROPOUT | {"rate": 0.5}],
    "SNN": [repeated(8, dense(activation="selu"), {"kind": "alpha_dropout", "rate": 0.05})],
    # The last weights are 0, as Fixup has them.
    "zero at first": [repeated(4, residual(dense(activation="relu"), dense(weight_gain=0.0)))],
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_networks_break_none_of_them(name):
    found = network_case(*SOUND[name])
    assert [code for code in ("SN203", "SN303", "SN402") if RULES[code](found)] == []


def test_selection_changes_nothing_where_all_three_are_broken():
    small = repeated(4, residual(NORM, dense(activation="relu"), dense(), scale=1e-4))
    found = network_case(small, DROPPED)
    codes = ("SN203", "SN303", "SN402")
    assert all(RULES[code](found) for code in codes)
    alone = [judge(found, {code}, remedies=False) for code in codes]
    together = judge(found, codes, remedies=False)
    assert {verdict for verdict, _ in alone} == {together[0]}
    assert [one for _, (one,) in alone] == together[1]


def test_a_stack_has_nothing_to_judge():
    found = case("relu", 8)
    assert [code for code in ("SN203", "SN303", "SN402") if RULES[code](found)] == []


def test_sources_are_those_that_the_file_names():
    """By hand: numbers of the layers, with branch, shortcut and sum of a residual."""
    found = network_of(
        dense(name="first"),
        repeated(2, residual(dense(), dense(), shortcut=[dense()]), dense()),
        {"kind": "add", "inputs": ["first", "previous"]},
    )
    assert [(row.number, row.sources) for row in sourced(found.block)] == [
        (1, (0,)),
        *[(2, (1,)), (3, (2,)), (4, (1,)), (5, (4, 3)), (6, (5,))],
        *[(7, (6,)), (8, (7,)), (9, (6,)), (10, (9, 8)), (11, (10,))],
        (12, (1, 11)),
    ]
    assert [row.layer for row in found.rows()] == [row.layer for row in sourced(found.block)]


@pytest.mark.parametrize("std", [20.0, 40.0])
def test_branches_fade_by_their_share_in_the_stream(std):
    """A norm, He's ReLU layer and LeCun's linear one give a branch of second moment 1, but for the
    ε of the norm: 1e-5 of a variance of `std`² or more, far less than the tolerance."""
    found = RULES["SN402"](network_case(STREAM, std=std))
    shares = 1.0 / (std**2 + np.arange(1, 9))
    bad = np.flatnonzero(shares < 1e-3)
    if not bad.size:
        assert found is None
        return
    assert found.layer == 4 * (int(bad[0]) + 1)
    assert found.value == pytest.approx(shares[-1], rel=1e-6)
    assert "all 8 from layer 4" in found.text


def test_the_scale_of_a_residual_is_in_the_share():
    scaled = repeated(4, residual(NORM, dense(), scale=0.01))
    found = RULES["SN402"](network_case(scaled))
    assert found.value == pytest.approx(1e-4 / (1 + 4e-4), rel=1e-4)


def test_a_branch_that_a_later_one_exceeds_is_not_the_end():
    small = residual(NORM, dense(), scale=0.01)
    assert RULES["SN402"](network_case(small, residual(NORM, dense()))) is None
    found = RULES["SN402"](network_case(residual(NORM, dense()), small))
    assert found.layer == 6
    assert "so fade" not in found.text


def passes(rng, x, y, width, depth, rate):
    """Return the outputs of two samples in two passes each, (2, 2, width): one network of ReLU
    layers, with masks of their own."""
    values = np.array([[x, x], [y, y]])
    for _ in range(depth):
        weights = rng.normal(0.0, math.sqrt(2.0 / width), (width, width))
        values = np.maximum(values @ weights, 0.0)
        values *= (rng.random(values.shape) >= rate) / (1.0 - rate)
    return values


@pytest.mark.parametrize("depth", [2, 16])
def test_the_cosine_under_two_masks_is_that_of_a_simulation(depth):
    """Over 12 networks of 600 units; the error of the mean is estimated from them, 5 of them and
    the order 1/width allowed."""
    rng, width = np.random.default_rng(5), 600
    own, other = [], []
    for _ in range(12):
        values = passes(rng, *rng.normal(size=(2, width)), width, depth, 0.1).reshape(4, -1)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        cosines = values @ values.T
        own.append((cosines[0, 1] + cosines[2, 3]) / 2)
        other.append(cosines[:2, 2:].mean())
    layers = repeated(depth, dense(activation="relu"), DROPOUT)
    judged = network_case(layers)
    for seen, theory in ((own, judged.masked_cosine), (other, judged.predicted("cosine"))):
        error = np.std(seen, ddof=1) / math.sqrt(len(seen))
        assert abs(np.mean(seen) - theory[2 * depth]) < 5 * error + 3 / width
    found = RULES["SN303"](judged)
    if depth == 2:
        assert found is None
    else:
        assert found.layer == 32
        share = (1 - np.mean(own)) / (1 - np.mean(other))
        assert found.value == pytest.approx(share, abs=0.03)


def test_masks_do_not_matter_where_there_are_none():
    trained = network_case(DROPPED)
    assert RULES["SN303"](trained) is not None
    evaluated = type(trained)(
        trained.subject, trained.batch, trained.inputs, trained.bounds, train=False
    )
    assert RULES["SN303"](evaluated) is None
    batch = network_case(DROPPED, {"kind": "batch_norm"})
    assert np.isnan(batch.masked_cosine).all()


def test_gradients_of_weights_fall_with_the_square_of_the_gain():
    """ReLU layers of one width multiply E[x²] forward and E[δ²] on the way back by G²/2, so the
    products differ by the squares of the gains alone; the linear last layer's too, because half of
    the units before it are off."""
    gains = [1.0, 1e-3, 30.0, 1e-3, 1e-2, 1e4, 1e-2]
    layers = [dense(activation="relu", weight_gain=gain) for gain in gains[:-1]]
    layers.append(dense(weight_gain=gains[-1]))
    judged = network_case(*layers)
    found = judged.weight_gradients(judged.gradients)
    assert math.isnan(found[0])
    expected = -2.0 * np.log(gains)
    assert found[1:] - found[1] == pytest.approx(expected - expected[0], abs=1e-9)
    broken = RULES["SN203"](judged)
    # 1e4² over 1e-3².
    assert broken.layer in (2, 4)
    assert math.log10(broken.value) == pytest.approx(14.0)
    assert "those of layer 6" in broken.text
    assert (
        RULES["SN203"](network_case(*layers[:5], bounds={"weight_gradient_decades": 9.0})) is None
    )


def test_a_network_of_another_input_counts_its_units():
    """One weight of a wider layer has a smaller gradient: E[δ²] is a squared norm over its units,
    and the norm of gradients is G² n_out/n_in times that after the layer."""
    judged = network_case(dense(1000), dense(10), channels=50)
    found = judged.weight_gradients(judged.gradients)
    # With gains of 1: E[x²] is 1 everywhere, E[δ²] of the first layer is 10/1000 of the second's.
    assert found[1] - found[2] == pytest.approx(math.log(10 / 1000))
    assert isinstance(judged.subject, Network)


def test_the_spread_of_logarithms_is_that_of_drawn_ones():
    """Of 100,000 log-normal trials with σ = 0.8 the estimate is within 5 % (their relative variance
    has a relative error of √(kurtosis/n), about 0.09 for a kurtosis of e^(4σ²)·…, below 900), and
    the bound by chi-square is that of scipy."""
    rng, trials = np.random.default_rng(2), 100_000
    drawn = np.exp(rng.normal(1.0, 0.8, trials))
    mean, stderr = drawn.mean(), drawn.std(ddof=1) / math.sqrt(trials)
    (found,), (least,) = spread_of_logs(np.array([mean]), np.array([stderr]), trials)
    assert found == pytest.approx(0.8, rel=0.05)
    assert 0.97 * found < least < found
    for few in (2, 8):
        (_,), (least,) = spread_of_logs(np.array([2.0]), np.array([1.0]), few)
        relative = few * (1.0 / 2.0) ** 2 * (few - 1) / chi2.isf(CHANCE, few - 1)
        assert least == pytest.approx(math.sqrt(math.log1p(relative)))
    assert np.isnan(spread_of_logs(np.ones(2), np.ones(2), 1)).all()


@pytest.mark.parametrize(("width", "broken"), [(3, True), (128, False)])
def test_the_spread_between_trials_is_judged_where_there_is_no_theory_of_it(width, broken):
    """Beyond a norm, first order has no theory. The product of two linear layers of 3 units, which
    are Gaussian, varies by more than itself; that of 128 units, by about √(10/128) = 0.3."""
    product = [dense(width, name="a"), dense(width, input="input"), MULTIPLY]
    network = network_of(NORM, repeated(16, *product, NORM, dense(width)), channels=width)
    found = snstat.check(network, batch=2, trials=48, select=["SN502"])
    assert found.passed is not broken
    if broken:
        (entry,) = found.findings
        assert "(seen; certainly" in entry.message
        assert entry.value > 1.0


def test_a_repeated_block_is_chaotic_where_its_stack_is():
    """The stack of 64 layers is chaotic by layer 36; a norm before it is one layer more."""
    wild = repeated(64, dense(activation="tanh", weight_gain=1.5))
    found = RULES["SN302"](network_case(NORM, wild, dense(10)))
    stack = RULES["SN302"](case("tanh", 64, weight_gain=1.5))
    assert found.layer == stack.layer + 1
    assert found.value == pytest.approx(stack.value, rel=1e-6)
    fewer = network_case(NORM, wild | {"times": stack.layer - 1}, dense(activation="tanh"))
    assert RULES["SN302"](fewer) is None


def test_the_limit_of_a_selu_block_is_compared_with_its_target():
    dropout = {"kind": "dropout", "rate": 0.1}
    found = RULES["SN104"](network_case(repeated(32, dense(activation="selu"), dropout), dense(10)))
    assert (found.layer, found.bound) == (64, 1.0)
    assert found.value == pytest.approx(1.62, abs=0.005)
    alpha = {"kind": "alpha_dropout", "rate": 0.1}
    assert RULES["SN104"](network_case(repeated(32, dense(activation="selu"), alpha))) is None
    mixed = repeated(32, dense(activation="selu"), dropout, dense(activation="tanh"))
    assert RULES["SN104"](network_case(mixed)) is None
    asked = {"target_mean": 0.0, "target_variance": 2.0}
    tanh = repeated(8, dense(activation="tanh", weight_gain=1.5))
    assert RULES["SN104"](network_case(tanh, bounds=asked)) is not None
    keeps = repeated(8, dense(activation="relu"))
    assert RULES["SN104"](network_case(keeps, bounds=asked)) is None


@pytest.mark.parametrize("norm", [BATCH_NORM, NORM])
def test_the_limit_behind_a_norm_is_compared_with_the_target(norm):
    """ReLU of a signal with mean 0 and variance 1 has mean 1/√(2π), or a little more in a batch of
    64, and variance ½ less its square."""
    block = repeated(8, dense(), norm, RELU)
    found = RULES["SN104"](
        network_case(block, dense(), bounds={"target_mean": 0.0, "target_variance": 1.0})
    )
    assert found.layer == 24
    # A mean that is larger by 1/(4·64) takes 0.4 % from the variance.
    assert found.value == pytest.approx(0.5 - 0.5 / math.pi, rel=5e-3)
    asked = {"target_mean": 1.0 / math.sqrt(2.0 * math.pi), "target_variance": 0.34}
    assert RULES["SN104"](network_case(block, dense(), bounds=asked)) is None


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([dense(activation="relu")] * 2 + [NORM], "SN104 and SN302 not judged: only a block"),
        ([repeated(9, residual(NORM, dense()), name="body")], "block body has no limit"),
        ([repeated(9, dense(activation="selu"), DROPOUT)], "SN302 not judged: dropout"),
        ([repeated(9, dense(), BATCH_NORM, RELU)], "SN302 not judged: dropout and batch norm"),
        ([repeated(9, dense(activation="tanh", weight_gain=1.5), NORM)], None),
        ([dense(), DROPOUT, {"kind": "batch_norm"}], "SN303 not judged: "),
    ],
)
def test_rules_that_say_nothing_are_noted(layers, words):
    notes = not_applied(network_case(*layers), CODES, ())
    if words is None:
        assert notes == []
    else:
        assert any(words in note for note in notes)


HIGHWAY = {"kind": "highway", "activation": "relu"}
ASKED = {"target_mean": 0.0, "target_variance": 1.0}
RISING = repeated(9, residual(NORM, dense(), name="sum"), name="body")


@pytest.mark.parametrize(
    ("code", "layers", "why"),
    [
        ("SN103", [dense(), dense()], "no target is given"),
        ("SN104", [repeated(9, dense(activation="tanh", weight_gain=1.5))], "no target is given"),
        ("SN104", [dense(), dense()], "only a block that is repeated 4 times or more"),
        ("SN203", [dense()], "fewer than two layers have weights"),
        ("SN203", [dense(), {"kind": "multiply", "inputs": ["0", "0"]}, dense()], "--backward"),
        ("SN302", [RISING], "the signal of block body has no limit"),
        ("SN303", [dense(), dense()], "no layer drops units"),
        ("SN304", [dense(), dense()], "no layer has several positions"),
        ("SN402", [dense(), dense()], "there is no residual"),
        ("SN403", [dense(), dense()], "no layer has several positions"),
        ("SN601", [NORM, dense(activation="relu")], "no dense layer has SELU"),
        ("SN701", [dense()], "use --baseline"),
    ],
)
def test_a_rule_that_is_asked_for_says_why_it_does_not_apply(code, layers, why):
    found = network_case(*layers)
    (note,) = not_applied(found, {code}, {code})
    assert note.startswith(f"{code} not judged: ")
    assert why in note
    # It is a note on no other rule.
    others = set(CODES) - {code}
    assert all(why not in note or code not in note for note in not_applied(found, others, others))


def test_what_anyone_sees_is_told_only_to_those_who_ask():
    found = network_case(repeated(9, dense(activation="tanh", weight_gain=1.5), NORM))
    assert not_applied(found, CODES, ()) == []
    named = not_applied(found, CODES, CODES)
    assert [note.split(" not judged")[0] for note in named] == [
        *("SN103 and SN104", "SN204", "SN303", "SN304 and SN403", "SN402", "SN601", "SN701")
    ]


def test_a_rule_that_applies_is_no_note():
    layers = [repeated(8, residual(dense(activation="selu"), DROPOUT, dense(), scale=0.1), NORM)]
    found = network_case(*layers, bounds=ASKED)
    elsewhere = {"SN204", "SN302", "SN304", "SN403", "SN701"}
    assert not_applied(found, CODES, set(CODES) - elsewhere) == [
        "SN302 not judged: dropout and batch norm themselves change how much inputs differ"
    ]


def test_weights_of_highways_are_compared():
    """The weights of a closed gate have no gradients: t and σ' are about e^−10 each."""
    closed = network_case(HIGHWAY | {"transfer_bias": -10.0}, dense(activation="tanh"))
    assert obstacle_of(closed, "SN203") is None
    assert RULES["SN203"](closed).layer == 2
    assert RULES["SN203"](network_case(HIGHWAY, HIGHWAY)) is None
    assert obstacle_of(network_case(HIGHWAY), "SN203").plain


def test_a_stack_says_why_a_rule_does_not_apply():
    found = case("tanh", 8, weight_gain=1.5)
    assert not_applied(found, CODES, ()) == []
    told = {code: not_applied(found, {code}, {code}) for code in CODES}
    assert {code for code, notes in told.items() if notes} == {
        *("SN103", "SN104", "SN203", "SN204", "SN303", "SN304", "SN402", "SN403", "SN601", "SN701")
    }
    grows = case("relu", 8, weight_gain=2.0)
    assert obstacle_of(grows, "SN302") == obstacle_of(case("gelu", 8), "SN302")
    assert "left to SN101 and SN102" in obstacle_of(grows, "SN302").why
    (note,) = not_applied(case("relu", 8, batch=1), CODES, ())
    assert note == "SN301 not judged: there is one sample"


def test_a_target_needs_theory_or_an_error_to_compare_with():
    """Two activations in a row have no theory, and a case that was not run has seen nothing."""
    layers = [dense(activation="relu"), RELU, NORM]
    known, unknown = (
        network_case(*some, bounds=ASKED) for some in (layers[:1] + layers[2:], layers)
    )
    assert obstacle_of(known, "SN103") is None
    assert obstacle_of(unknown, "SN103").why == "theory does not know layer 3"
    assert lost(known, unknown, ["SN103"])
    assert not lost(unknown, known, ["SN103"])
    assert RULES["SN103"](unknown) is None


def test_layers_of_repeated_blocks_count_for_each_repetition():
    for times in (1, 2):
        block = {"kind": "block", "times": times, "layers": [dense(), {"kind": "rms_norm"}]}
        found = RULES["SN203"].obstacle(network_case(block))
        assert (found is None) == (times == 2)
