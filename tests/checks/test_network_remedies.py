"""Remedies of networks: their words are followed in the plain data of the network, which then
breaks the rule no more."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import MISSING, dataclass, replace
from types import MappingProxyType, SimpleNamespace
from typing import ClassVar

import pytest

from snstat.activation import ACTIVATIONS
from snstat.checks import network_remedies
from snstat.checks.applying import lost, obstacle_of
from snstat.checks.judge import judge
from snstat.checks.network_changes import layer_changes
from snstat.checks.rules import CODES, RULES
from snstat.layers import registry
from snstat.layers.build import chain
from snstat.layers.dense import Dense
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.network.editing import Draft
from snstat.network.network import Network
from snstat.values.kinds import Whole
from snstat.values.option import option
from tests.checks.cases import (
    DROPPED,
    NORM,
    dense,
    mean_of,
    network_case,
    network_of,
    repeated,
    residual,
)
from tests.checks.following import followed
from tests.layers.untold import Untold

SCALED, GELU = {"kind": "scale"}, {"kind": "activation", "activation": "gelu"}
HALF = repeated(3, residual(dense(activation="relu"), dense()))
# The layers, the rule that they break, and a word of the remedy.
BROKEN = {
    "own gain": ([NORM, *[dense(activation="relu", weight_gain=0.5)] * 12], "SN101", "leave out"),
    "torch": ([NORM, *[dense(activation="relu", init="torch_default")] * 12], "SN101", '"init"'),
    "scale": ([repeated(12, residual(dense(activation="relu"))), dense(10)], "SN102", '"scale"'),
    "two residuals": (
        [repeated(9, residual(dense(activation="relu"), dense(), name="a"), HALF, name="body")],
        "SN102",
        '"scale" of residuals body.a and body.1.0 to',
    ),
    "one residual": (
        [residual(dense()), residual(dense(), scale=30.0), residual(dense())],
        "SN102",
        'set "scale" of residual 1 to 1 (now 30)',
    ),
    "factor": (
        [repeated(12, dense(activation="relu"), SCALED | {"factor": 0.3})],
        "SN101",
        'set "factor" of scale layer 0.1 to 1 (now 0.3)',
    ),
    # The gain of GELU that keeps 1 is 1.468: 2^(1/2) is nearest.
    "factor of another size": (
        [NORM, repeated(12, dense(1024), GELU, SCALED | {"factor": 1.0, "name": "up"})],
        "SN101",
        'set "factor" of scale layer 1.up to 1.',
    ),
    "dropout": ([DROPPED], "SN303", '"rate" of dropout layer 0.1 to'),
    "scale of 1": (
        [repeated(8, residual(NORM, dense(), scale=0.003))],
        "SN402",
        "to 1 (now 0.003)",
    ),
    "times": ([NORM, repeated(64, dense(activation="relu"))], "SN301", '"times" of block 1 to 37'),
    "norm": (
        [repeated(3, dense(activation="relu", weight_std=1.0, name="in"), name="b"), NORM],
        "SN102",
        "",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_remedy_holds_when_it_is_followed(name):
    layers, code, word = BROKEN[name]
    found = network_case(*layers)
    _, findings = judge(found, {code})
    (broken,) = findings
    assert word in broken.remedy
    assert RULES[code](found.changed(followed(found.network, broken.remedy))) is None


def test_the_gain_that_keeps_the_signal_is_found_where_no_round_one_does():
    """GELU keeps a second moment of 1 with the gain G of E φ(G z)² = 1. More layers of this width
    leave that point, which repels."""
    function = ACTIVATIONS["gelu"].function
    low, high = 1.0, 2.0
    for _ in range(40):
        gain = (low + high) / 2
        more = mean_of(lambda x: function(x) ** 2, gain**2) > 1
        low, high = (low, gain) if more else (gain, high)
    # Alone, a sample has no cosine to theory, which takes most of the time.
    layers = NORM, repeated(16, dense(1024, "gelu"))
    found = network_case(*layers, batch=1, channels=1024)
    (broken,) = judge(found, {"SN101"})[1]
    words = re.fullmatch(
        r'set "weight_gain" of dense layer 1\.0 to (1\.\d{3}) \(now left out\)', broken.remedy
    )
    assert float(words[1]) == pytest.approx(gain, rel=2e-3)
    assert RULES["SN101"](found.changed(followed(found.network, broken.remedy))) is None


def test_the_gain_is_tuned_to_the_last_layer():
    """A ReLU layer of gain G and a factor of 3 make 9 G²/2 of a second moment."""
    found = network_case(dense(activation="relu"), SCALED | {"factor": 3.0})
    (attempt,) = network_remedies._tuned(found, Draft.of(found.network))
    gain = attempt.case.network.form()["layers"][0]["weight_gain"]
    # Of four digits, after halvings that leave next to nothing.
    assert gain == pytest.approx(math.sqrt(2.0 / 9.0), abs=1e-4)
    assert attempt.case.predicted("second_moment")[-1] == pytest.approx(1.0, rel=1e-3)


@dataclass(frozen=True)
class Gate(WeightOptions, Untold):
    """A kind that no part of the checks knows."""

    kind: ClassVar[str] = "gate"

    width: int = option(Whole(1, 100), "Units.", default=MISSING)

    def shape(self, inputs):
        """See Layer."""
        return Shape(self.width, inputs[0].grid)

    def sample(self, inputs, draw):  # noqa: ARG002  # as the protocol
        """See Layer."""
        raise AssertionError("remedies are found by theory alone")


def test_kinds_with_weights_or_a_width_are_changed_whichever_they_are(monkeypatch):
    """The words name them, so the network has to have what they say."""
    monkeypatch.setattr(registry, "KINDS", MappingProxyType({**registry.KINDS, "gate": "Gate"}))
    monkeypatch.setitem(sys.modules, "snstat.layers.gate", SimpleNamespace(Gate=Gate))
    network = Network(8, chain(Gate(8, weight_gain=3.0), Dense(8, weight_gain=2.0), Dense(10)))
    changes = {change.words: change.network.block for change in layer_changes(Draft.of(network))}
    assert changes['leave out "weight_gain" of dense and gate layers 0 and 1'] == chain(
        Gate(8), Dense(8), Dense(10)
    )
    assert changes['multiply "width" of dense and gate layers 0 and 1 by 2'] == chain(
        Gate(16, weight_gain=3.0), Dense(16, weight_gain=2.0), Dense(10)
    )


def test_every_change_is_what_its_words_say():
    """The reader of words above knows nothing of how networks are edited."""
    network = network_of(
        dense(name="in", weight_gain=2.0),
        repeated(
            2,
            residual(dense(512, "relu"), {"kind": "dropout", "rate": 0.2}, dense(), name="ffn"),
            residual(dense(), shortcut=[dense(weight_std=0.1)]),
        ),
        {"kind": "add", "inputs": ["in", "previous"]},
        repeated(3, residual(dense(), dense(), scale=0.5), SCALED | {"factor": -2.0}),
        SCALED | {"factor": 2.0, "name": "up"},
        dense(10),
    )
    found = [(change.words, change.network) for change in layer_changes(Draft.of(network))]
    assert len({words for words, _ in found}) == len(found)
    kinds = {words.split()[0] for words, _ in found}
    assert kinds == {"set", "leave", "begin", "put", "multiply"}
    for words, changed in found:
        assert followed(network, words) == changed, words


def test_no_norm_is_put_where_numbers_would_then_mean_other_layers():
    """A layer is called by its number unless it has a name."""

    def norms_in(*layers):
        words = [change.words for change in layer_changes(Draft.of(network_of(*layers)))]
        return [text.split()[0] for text in words if "layer_norm" in text]

    def add(*inputs):
        return {"kind": "add", "inputs": [*inputs]}

    blocks = residual(dense()), residual(dense())
    assert norms_in(*blocks, add("input", "previous")) == ["begin", "put"]
    assert norms_in(*blocks, add("0", "previous")) == ["begin", "put"]
    assert norms_in(*blocks, dense(), add("0", "1")) == ["begin"]
    assert norms_in(residual(dense(), dense(), add("0", "1"))) == ["put"]
    assert norms_in(residual(dense(name="a"), dense(), add("a", "input"))) == ["begin", "put"]
    # The second layer that one starts from may be outside.
    reads = residual({"kind": "attention", "heads": 2, "memory": "1"})
    form = {"input": {"channels": 8, "grid": [4]}, "layers": [residual(dense(8)), NORM, reads]}
    network = Network.read(form)
    words = [change.words for change in layer_changes(Draft.of(network, network.written))]
    assert words
    assert not any(text.startswith("put") for text in words)


def test_a_norm_holds_the_second_moments_of_networks():
    # Their variance, of the logarithm, grows by 2/8 a layer, and has to be below 1.
    network = network_case(repeated(10, dense(8)), channels=8)
    (broken,) = judge(network, {"SN502"})[1]
    assert broken.remedy == 'begin block 0 with { kind = "layer_norm" }'


def test_the_input_is_widened_where_sums_need_it_and_data_are_not():
    """The log second moment of 2 normal inputs has a variance of 2/2 to first order, and each layer
    adds to it. A norm is not offered: theory does not know what it does to so few units."""
    network = network_case(repeated(4, residual(dense(2), scale=0.5)), channels=2)
    (broken,) = judge(network, {"SN502"})[1]
    words = 'multiply "width" of dense layer 0.0.0 and "channels" of input by 4'
    assert broken.remedy == words
    assert followed(network.network, words).input.channels == 8
    data = replace(network, inputs=replace(network.inputs, drawn=False))
    (broken,) = judge(data, {"SN502"})[1]
    assert "channels" not in broken.remedy


def selu(**keys):
    return dense(activation="selu", init="he_normal", **keys)


@pytest.mark.parametrize(
    ("layers", "remedy"),
    [
        ([NORM, selu()], 'leave out "init" of dense layer 1'),
        # An activation by itself.
        (
            [NORM, dense(init="he_normal"), {"kind": "activation", "activation": "selu"}],
            'leave out "init" of dense layer 1',
        ),
        # Without their gain these would lose what tells inputs apart, by other rules.
        (
            [repeated(16, selu(name="d"), {"kind": "dropout", "rate": 0.1}, name="body")],
            'for SN601 alone, leave out "init" of dense layer body.d',
        ),
        # Too deep for theory of other weights.
        ([NORM, repeated(40, selu())], 'for SN601 alone, leave out "init" of dense layer 1.0'),
    ],
)
def test_weights_outside_the_theorem_have_a_remedy(layers, remedy, monkeypatch):
    monkeypatch.setattr(network_remedies, "MOST_LAYERS", 32)
    found = network_case(*layers, batch=4)
    (broken,) = judge(found, {"SN601"})[1]
    assert broken.remedy == remedy
    words = remedy.removeprefix("for SN601 alone, ")
    after = found.changed(followed(found.network, words))
    assert RULES["SN601"](after) is None


def test_weights_whose_activation_is_not_next_are_not_of_selu():
    act = {"kind": "activation", "activation": "selu"}
    for layers in (
        [dense(init="he_normal"), NORM, act],
        [dense(init="he_normal", activation="relu"), act],
        [dense(init="he_normal"), dense(), act | {"input": "0"}, dense(), act],
    ):
        squares = [square for _, square, _ in network_case(*layers).selu_weights]
        expected = [pytest.approx(1.0)] * (len(layers) == 5)
        assert squares == expected


def act(name):
    return {"kind": "activation", "activation": name}


# Blocks whose limit is wrong or chaotic, and the target of their signal.
LIMITS = {
    # A norm decides the limit, whatever the layers before it.
    "norm": ([repeated(12, dense(128), NORM, act("selu"))], (0.0, 2.0)),
    "batch norm": ([repeated(12, dense(128), {"kind": "batch_norm"}, act("relu"))], (0.0, 1.0)),
    "chaotic norm": ([repeated(24, dense(128), NORM, act("sine:3"))], None),
    "short": ([repeated(5, dense(128), NORM, act("sine:30"))], None),
    "dropout": ([DROPPED | {"layers": [dense(128, "selu"), DROPPED["layers"][1]]}], None),
    "gain": ([NORM, repeated(12, dense(128, "selu", weight_gain=1.3))], None),
    "tanh": ([NORM, repeated(12, dense(128, "tanh", weight_gain=2.0))], (0.0, 0.3)),
}


@pytest.mark.parametrize("name", LIMITS)
def test_no_remedy_leaves_a_rule_without_anything_to_judge(name):
    """A width unlike that of the input, for example, leaves a block without a limit."""
    layers, target = LIMITS[name]
    bounds = (
        {} if target is None else dict(zip(("target_mean", "target_variance"), target, strict=True))
    )
    found = network_case(*layers, bounds=bounds, channels=128)
    _, findings = judge(found, set(CODES))
    assert findings
    for broken in findings:
        assert broken.remedy or "norm" in name or name == "short"
        if broken.remedy:
            after = found.changed(followed(found.network, broken.remedy))
            silent, before = (
                {code for code in CODES if obstacle_of(one, code)} for one in (after, found)
            )
            assert silent <= before
            assert RULES[broken.code](after) is None


def test_fewer_repetitions_of_a_block_need_no_limit_where_it_held(monkeypatch):
    """Two layers have no limit, but a block that held goes on to hold. For one whose limit is
    wrong, "norm" above, fewer repetitions are no remedy."""
    monkeypatch.setattr(network_remedies, "layer_changes", lambda _: ())
    block = repeated(9, dense(activation="tanh", bias_std=0.3))
    found = network_case(NORM, block, bounds={"cosine_max": 0.5})
    assert found.outlook.kind == "converges"
    (broken,) = judge(found, set(CODES))[1]
    assert re.fullmatch(r'set "times" of block 1 to [123] \(now 9\)', broken.remedy)
    assert lost(found, found.changed(followed(found.network, broken.remedy)))


def remedies_of(found, codes):
    return {broken.code: broken.remedy for broken in judge(found, codes)[1]}


def test_rules_that_are_not_selected_veto_no_remedy():
    """Dropout of 0.1 multiplies second moments by 1/0.9 a layer. What it does to the cosine, and
    how much networks of this width differ, is not asked."""
    layers = dense(64, "relu", init="he_normal"), {"kind": "dropout", "rate": 0.1}
    found = network_case(repeated(60, *layers), channels=64)
    (told,) = remedies_of(found, {"SN102"}).values()
    assert told == 'set "rate" of dropout layer 0.1 to 0.05 (now 0.1)'
    after = found.changed(followed(found.network, told))
    left = {broken.code for broken in judge(after, set(CODES), remedies=False)[1]}
    assert left == {broken.code for broken in judge(found, set(CODES), remedies=False)[1]} - {
        "SN102"
    }
    assert left


def test_the_depth_is_kept_where_another_change_mends_the_rule():
    """LeCun's weights lose half of the second moment in every layer of ReLU. The networks differ
    too much for one more rule, which the usual weights do not mend."""
    first = dense(64, "relu", weight_gain=0.5)
    found = network_case(first, repeated(20, dense(64, "relu", init="lecun_normal")), channels=64)
    told = remedies_of(found, set(CODES))
    assert {"SN101", "SN201", "SN502"} <= told.keys()
    words = 'leave out "init" of dense layer 1.0 and "weight_gain" of dense layer 0'
    assert told["SN101"] == told["SN201"] == words
    after = found.changed(followed(found.network, words))
    assert RULES["SN101"](after) is RULES["SN201"](after) is None
    assert RULES["SN502"](after) is not None
