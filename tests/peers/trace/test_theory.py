"""Theory beside traces of PyTorch modules: that of the network that a module is.

Its values are compared with those of networks of snstat that are written by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat import Network
from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.sources.torch import beside
from tests.peers.trace.models import Repeated, mlp
from tests.peers.trace.theory_models import (
    Chosen,
    Functions,
    Gated,
    Modules,
    batch_normed,
    lecun,
    prenorm,
)
from tests.peers.trace.tracing import untouched

pytestmark = pytest.mark.peers

NAMES = ("mean", "variance", "second_moment", "variance_over_batch", "variance_over_units",
         "cosine", "gradient")  # fmt: skip
DEFAULT = {"init": "torch_default"}


def theory_of(target, inputs, **options):
    return snstat.trace(target, inputs, **{"trials": 2, **options})


def assert_theory_of(run, network, rows, *, train=True, names=NAMES):
    """Assert that rows, by their names, have the theory of layers of a network, in order."""
    own = snstat.propagate(
        network, trials=2, batch=run.simulation.batch, backward=True, train=train
    )
    numbers = [0, *(run.numbered(name) for name in rows)]
    layers = [0, *range(1, own.depth + 1)]
    assert len(numbers) == len(layers)
    for name in names:
        for part in ("theory", "expected", "neglected"):
            if name == "gradient" and part != "theory":
                continue
            seen = getattr(run.statistics[name], part)[numbers]
            wanted = getattr(own.statistics[name], part)
            # Of a stack more is known at its width.
            known = np.isfinite(seen) if part != "theory" else np.ones(len(layers), bool)
            np.testing.assert_allclose(
                seen[known], wanted[known], rtol=1e-9, atol=1e-12, err_msg=f"{name}.{part}"
            )
            if part == "expected":
                assert (known == np.isfinite(wanted)).all() or np.isfinite(seen).all()


def worst(run, names=("mean", "variance", "second_moment", "variance_over_units")):
    """Return the largest |z| against what is expected at the width."""
    found = [run.statistics[name] for name in names]
    known = [np.abs(own.z[np.isfinite(own.expected)]) for own in found]
    assert all(np.isfinite(z).all() and z.size for z in known)
    return max(z.max() for z in known)


def ends(run):
    return [(end.path, end.call, end.reason) for end in run.module.theory_ends]


def unknown(run, name, statistic="second_moment"):
    return run[name].statistics[statistic].theory is None


def test_a_selu_network_has_the_theory_of_propagate():
    """P(|t| > 4) is 2e-4 for 63 degrees of freedom; the seed is fixed."""
    run = theory_of(mlp, "Bx64", set={"depth": 8, "width": 64}, trials=64, batch=16)
    assert ends(run) == []
    assert worst(run) < 4.0
    stack = snstat.propagate("selu", depth=8, width=64, trials=2, batch=16, backward=True)
    rows = [0, *range(2, 17, 2)]
    for name in NAMES:
        np.testing.assert_allclose(
            run.statistics[name].theory[rows], stack.statistics[name].theory, rtol=1e-9, atol=1e-12
        )
    for name in NAMES[:3]:
        np.testing.assert_allclose(
            run.statistics[name].expected[rows],
            stack.statistics[name].expected,
            rtol=1e-9,
            atol=1e-9,
        )
    parts = [part for _ in range(8) for part in (L.Dense(64), L.Activation("selu"))]
    assert_theory_of(run, Network(64, L.chain(*parts)), map(str, range(16)))
    # The whole returns the tensor of its last part.
    assert run["Sequential"].statistics == run["15"].statistics


def residual(width, rate):
    return L.residual(
        L.LayerNorm(),
        L.Dense(2 * width, **DEFAULT),
        L.Activation("gelu"),
        L.Dense(width, **DEFAULT),
        L.Dropout(rate),
        L.Scale(0.5),
    )


def test_a_residual_network_with_norms_and_dropout():
    run = theory_of(prenorm, "Bx64", trials=64)
    assert ends(run) == []
    assert worst(run) < 4.0
    epsilon = torch.finfo(torch.float32).eps
    net = Network(
        64,
        L.chain(
            L.Dense(64, **DEFAULT),
            residual(64, 0.1),
            residual(64, 0.1),
            L.RmsNorm(epsilon=epsilon),
            L.Dense(5, **DEFAULT),
        ),
    )
    own = snstat.propagate(net, trials=2, batch=8, backward=True)
    # The half that the code takes has no row of its own.
    layers = [n for n in range(own.depth + 1) if own.row(n).kind != "scale"]
    rows = [row for row in range(run.depth) if run.row(row).kind != "Sequential"]
    assert len(layers) == len(rows) == 16
    for name in NAMES:
        found, wanted = run.statistics[name], own.statistics[name]
        np.testing.assert_allclose(found.theory[rows], wanted.theory[layers], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            found.expected[rows], wanted.expected[layers], rtol=1e-9, atol=1e-12
        )
    assert np.isfinite(run.statistics["second_moment"].expected).all()


def test_dropout_that_is_off_and_eval_mode():
    """With --dropout off the half is the only factor; in eval mode as well."""
    plain = theory_of(prenorm, "Bx64", set={"rate": 0.0})
    for options in ({"dropout": "off"}, {"mode": "eval"}):
        run = theory_of(prenorm, "Bx64", **options)
        assert ends(run) == []
        for name in NAMES:
            own, other = run.statistics[name], plain.statistics[name]
            np.testing.assert_allclose(own.theory, other.theory, rtol=1e-12, err_msg=name)
            np.testing.assert_allclose(own.expected, other.expected, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm(train):
    """The input has positions, which are flattened: its units alone are no vector."""
    mode = "train" if train else "eval"
    run = theory_of(batch_normed, "Bx3x4x4", trials=32, batch=16, mode=mode)
    assert ends(run) == []
    block = (L.BatchNorm(), L.Activation("relu"))
    net = Network(48, L.chain(L.Dense(64), *block, L.Dense(64), *block))
    names = [name for name in NAMES if name != "variance_over_units"]
    assert_theory_of(run, net, map(str, range(1, 7)), train=train, names=names)
    assert unknown(run, "input", "variance_over_units")
    assert run["0"].variance_over_units.theory == 1.0
    square = run.statistics["second_moment"]
    if not train:  # first order in 1/width is known
        assert worst(run) < 4.0
    else:
        assert np.isnan(square.expected[3:]).all()
        # Of ReLU after batch norm the ensemble of 64 units is off by less than a standard error.
        assert np.nanmax(np.abs(square.z[[4, 7]])) < 4.0


def test_a_layer_that_is_called_again_has_no_theory():
    run = theory_of(Repeated, "Bx16")
    assert ends(run) == [("l", 2, "its weights were used before")]
    assert not unknown(run, "l#1")
    assert not unknown(run, "act#1")
    assert all(unknown(run, f"{path}#{call}") for path in ("l", "act") for call in (2, 3, 4))
    assert np.isnan(run.statistics["gradient"].theory).all()


def test_an_activation_may_be_called_again_and_by_several_names():
    def shared():
        act = nn.Tanh()
        return nn.Sequential(lecun(32, 32), act, lecun(32, 32), act)

    run = theory_of(shared, "Bx32")
    assert run.module.notes == ("3 is the same module as 1",)
    parts = L.Dense(32), L.Activation("tanh"), L.Dense(32), L.Activation("tanh")
    assert_theory_of(run, Network(32, L.chain(*parts)), ["0", "1#1", "2", "1#2"])


def test_tied_weights_have_no_theory_and_computed_ones_neither():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = lecun(16, 16), nn.Linear(16, 16)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(torch.tanh(self.a(x)))

    class Transposed(Tied):
        def forward(self, x):
            return nn.functional.linear(torch.tanh(self.a(x)), self.a.weight.t())

    assert ends(theory_of(Tied, "Bx16")) == [("b", 1, "its weights were used before")]
    words = "its weights are computed from others"
    assert ends(theory_of(Transposed, "Bx16")) == [("Transposed", 1, words)]


def test_samples_come_first(monkeypatch):
    monkeypatch.setattr(beside, "exported", None)  # torch takes seconds for a graph
    run = theory_of(lambda: nn.GRU(8, 16), "5xBx8", axes={"*": "P,S,U"})
    assert ends(run) == [("input", 1, "the first axis of 5xBx8 is not that of samples")]
    for statistic in run.statistics.values():
        assert np.isnan(statistic.theory).all()


def test_gates_of_recurrence_have_no_theory():
    run = theory_of(lambda: nn.GRU(8, 16, batch_first=True), "Bx5x8")
    (end,) = ends(run)
    assert end[:2] == ("GRU", 1)
    assert end[2].endswith("units that are kept depend on the weights of their own gates")
    assert unknown(run, "GRU[0]")


def test_functions_are_layers_as_modules_are():
    module = theory_of(Modules, "Bx64")
    assert ends(module) == []
    assert not unknown(module, "Modules")
    for inplace in (False, True):
        run = theory_of(Functions, "Bx64", set={"inplace": inplace})
        assert ends(run) == []
        for own, name in (("a", "a"), ("b", "b"), ("c", "c"), ("Functions", "Modules")):
            for statistic in NAMES:
                found, other = run.statistics[statistic], module.statistics[statistic]
                for part in ("theory", "expected"):
                    one = getattr(found, part)[run.numbered(own)]
                    two = getattr(other, part)[module.numbered(name)]
                    assert one == pytest.approx(two, rel=1e-12, nan_ok=True), (own, statistic)


def test_functions_that_have_rows_have_theory():
    run = theory_of(Functions, "Bx64", ops=True)
    parts = [L.Dense(64), L.Activation("relu"), L.Dense(64), L.Activation("tanh")]
    own = snstat.propagate(Network(64, L.chain(*parts)), trials=2, batch=8)
    for name, place in (("Functions:relu", 2), ("Functions:tanh", 4)):
        for statistic in NAMES[:-1]:
            found = run.statistics[statistic].theory[run.numbered(name)]
            wanted = own.statistics[statistic].theory[place]
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    whole = run["Functions"].second_moment
    assert run["Functions:add"].second_moment.theory == whole.theory
    assert run["a:linear"].second_moment.theory == run["a"].second_moment.theory == 1.0


def test_what_is_written_to_a_part_of_a_tensor_ends_the_whole():
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = lecun(16, 16), lecun(16, 16), lecun(4, 4)

        def forward(self, x):
            y = self.a(x)
            part = y[:, :4].relu_()
            return self.b(y), self.c(part)

    run = theory_of(Part, "Bx16")
    assert ends(run) == [("b", 1, "it takes values of which a part was changed")]
    assert not unknown(run, "a")
    assert unknown(run, "b")
    assert not unknown(run, "c")


def test_what_is_written_to_the_whole_ends_its_parts():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = lecun(16, 16), lecun(16, 16), lecun(4, 4)

        def forward(self, x):
            y = self.a(x)
            part = y[:, :4]
            y.relu_()
            return self.b(y), self.c(part)

    run = theory_of(Whole, "Bx16")
    assert ends(run) == [("c", 1, "it takes values of which a part was changed")]
    assert not unknown(run, "b")
    assert unknown(run, "c")


def test_a_view_beside_its_source_has_a_gradient_of_its_own():
    class View(nn.Module):
        def forward(self, x):
            return x.view(x.shape)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.view = lecun(16, 16), lecun(16, 16), View()

        def forward(self, x):
            y = self.a(x)
            return self.view(y) + self.b(y)

    run = theory_of(Both, "Bx16")
    assert ends(run) == []
    assert unknown(run, "view", "gradient")
    assert run["a"].gradient.theory == pytest.approx(2.0)


def test_products_differences_and_parts_that_stand_side_by_side():
    run = theory_of(Gated, "Bx32", trials=64)
    assert ends(run) == []
    assert not unknown(run, "Gated")
    # E[tanh²] of a standard normal by a plain sum, and E[relu]² = 1/(2π), E[relu²] = 1/2.
    x = np.linspace(-9.0, 9.0, 20_001)
    square = np.sum(np.tanh(x) ** 2 * np.exp(-x * x / 2)) * (x[1] - x[0]) / np.sqrt(2 * np.pi)
    first, second = square / 16 + 4.0, 0.125 + 0.5 - 1.0 / (2.0 * np.pi)
    whole = run["Gated"]
    assert whole.second_moment.theory == pytest.approx((first + second) / 2, rel=1e-9)
    assert abs(whole.second_moment.z) < 4.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: nn.init.uniform_(m.weight, -0.3, 0.3), "its weights fit no named initialiser"),
        (lambda m: nn.init.constant_(m.weight, 0.1), "its weights fit no named initialiser"),
        (lambda m: m.weight[::2].mul_(2.0), "its weights fit no named initialiser"),
        (lambda m: m.weight[0].fill_(float("nan")), "its weights fit no named initialiser"),
        (lambda m: m.weight.mul_(1e30), "its weights fit no named initialiser"),
        (lambda m: m.bias[0].fill_(float("inf")), "its biases fit no named initialiser"),
        (lambda m: nn.init.constant_(m.bias, 0.1), "its biases fit no named initialiser"),
        (lambda m: m.bias.mul_(2.0), "its biases fit no named initialiser"),
        (lambda m: nn.init.normal_(m.bias, std=192**-0.5), "its biases fit no named initialiser"),
    ],
)
def test_weights_that_no_scheme_draws_end_theory(change, reason):
    def own():
        model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        with torch.no_grad():
            change(model[2])
        return model

    run = theory_of(own, "Bx64")
    assert ends(run) == [("2", 1, reason)]
    assert not unknown(run, "1")
    assert unknown(run, "2")
    assert unknown(run, "3")


def test_trials_with_the_same_weights_are_no_draws():
    def seeded():
        torch.manual_seed(3)
        return lecun(64, 64)

    assert ends(theory_of(seeded, "Bx64")) == [
        ("Linear", 1, "its weights are the same in several trials")
    ]
    assert ends(theory_of(seeded, "Bx64", trials=1)) == []


def test_norms_are_those_of_their_initialisation():
    def scaled():
        model = nn.Sequential(lecun(32, 32), nn.LayerNorm(32))
        nn.init.constant_(model[1].weight, 2.0)
        return model

    assert ends(theory_of(scaled, "Bx32")) == [("1", 1, "its weight is not 1")]

    def used():
        model = nn.Sequential(lecun(32, 32), nn.BatchNorm1d(32))
        model(torch.ones(4, 32) + torch.randn(4, 32))
        return model

    assert ends(theory_of(used, "Bx32")) == []
    words = "its running statistics are not those of its initialisation"
    assert ends(theory_of(used, "Bx32", mode="eval")) == [("1", 1, words)]


def test_what_eval_mode_does_not_turn_off():
    def normed():
        return nn.Sequential(lecun(32, 32), nn.BatchNorm1d(32, track_running_stats=False))

    class Drops(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = lecun(32, 32)

        def forward(self, x):
            return nn.functional.dropout(self.a(x))

    for target, path, reason in (
        (normed, "1", "it takes the statistics of batches in eval mode"),
        (Drops, "Drops", "it drops units in eval mode"),
    ):
        assert ends(theory_of(target, "Bx32")) == []
        assert ends(theory_of(target, "Bx32", mode="eval")) == [(path, 1, reason)]


SCHEMES = {
    "default": (lambda w: nn.init.kaiming_uniform_(w, a=5**0.5), DEFAULT),
    "lecun_normal": (lambda w: nn.init.normal_(w, std=96**-0.5), {"init": "lecun_normal"}),
    "he_normal": (nn.init.kaiming_normal_, {"init": "he_normal"}),
    "he_uniform": (nn.init.kaiming_uniform_, {"init": "he_uniform"}),
    "glorot_normal": (nn.init.xavier_normal_, {"init": "glorot_normal"}),
    "glorot_uniform": (nn.init.xavier_uniform_, {"init": "glorot_uniform"}),
    "gain": (
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="selu"),
        {"init": "lecun_normal", "weight_gain": 0.75},
    ),
    "std": (lambda w: nn.init.normal_(w, std=0.02), {"weight_std": 0.02, "init": "lecun_normal"}),
    "orthogonal": (nn.init.orthogonal_, {"init": "orthogonal"}),
    "orthogonal gain": (
        lambda w: nn.init.orthogonal_(w, 2**0.5),
        {"init": "orthogonal", "weight_gain": 1.41421},
    ),
    "truncated": (
        lambda w: nn.init.trunc_normal_(w, std=96**-0.5, a=-2 * 96**-0.5, b=2 * 96**-0.5),
        {"init": "lecun_truncated", "weight_gain": 0.87962566103423975},
    ),
    "zeros": (nn.init.zeros_, {"init": "lecun_normal", "weight_gain": 0.0}),
}


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("shape", [(64, 96), (160, 96)])
@pytest.mark.parametrize("biases", ["none", "zero", "default"])
def test_the_named_variance_of_initialisers_is_taken(name, shape, biases):
    draw, options = SCHEMES[name]
    units, fan_in = shape

    def one():
        layer = nn.Linear(fan_in, units, bias=biases != "none")
        draw(layer.weight)
        if biases == "zero":
            nn.init.zeros_(layer.bias)
        return nn.Sequential(layer, nn.ReLU())

    std = (3 * fan_in) ** -0.5 if biases == "default" else 0.0
    if biases == "default" and name == "default":
        std = None  # the biases of the initialiser
    net = L.chain(L.Dense(units, bias_std=std, **options), L.Activation("relu"))
    run = theory_of(one, f"Bx{fan_in}", trials=3)
    assert ends(run) == []
    tolerance = {"rtol": 1e-5} if name == "orthogonal gain" else {"rtol": 1e-9, "atol": 1e-12}
    own = snstat.propagate(Network(fan_in, net), trials=2, batch=8)
    for statistic in NAMES[:-1]:
        for part in ("theory", "expected"):
            found = getattr(run.statistics[statistic], part)[:3]
            wanted = getattr(own.statistics[statistic], part)
            np.testing.assert_allclose(found, wanted, **tolerance)


def test_a_module_as_it_is_has_theory_but_no_z(tmp_path):
    """It is one draw: errors between inputs lack what differs between draws."""
    torch.manual_seed(1)
    model = mlp(64, 3)
    with untouched(model):
        run = theory_of(model, "Bx64", trials=4)
    assert run.module.trials_of == "inputs"
    path = tmp_path / "run.json"
    snstat.save(run, path)
    for own in (run, snstat.load(path)):
        for name in NAMES:
            assert np.isfinite(own.statistics[name].theory).all()
            assert np.isnan(own.statistics[name].z).all()
            assert np.isnan(own.statistics[name].excess).all()
            assert own["1"].statistics[name].z is None
        assert "standard errors from theory" not in repr(own)


def test_trained_weights_have_no_theory():
    torch.manual_seed(1)
    model = mlp(32, 2)
    with torch.no_grad():
        model[2].weight += 0.2 * torch.ones(32, 32)
    assert ends(theory_of(model, "Bx32")) == [("2", 1, "its weights fit no named initialiser")]


@pytest.mark.parametrize(
    ("target", "inputs", "words"),
    [
        (Chosen, "Bx8", "no theory: its values decide what it does"),
        (lambda: nn.Sequential(*(nn.Tanh() for _ in range(1001))), "Bx8",
         "no theory: it has more than 1,000 modules"),
    ],
)  # fmt: skip
def test_without_a_graph_there_is_no_theory(target, inputs, words):
    run = theory_of(target, inputs, backward=False)
    assert ends(run) == []
    (note,) = run.module.notes
    assert note.startswith(words)
    assert "\n" not in note
    assert len(note) < 250
    for statistic in run.statistics.values():
        assert np.isnan(statistic.theory).all()


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ("ones:Bx64", "ones:Bx64 is not drawn with known moments"),
        (["64xB"], "the first axis of 64xB is not that of samples"),
        ([torch.randn(64, 64)], "float32:Bx64 is not drawn with known moments"),
    ],
)
def test_inputs_of_other_kinds_have_no_theory(inputs, reason):
    model = nn.Sequential(lecun(64, 64), nn.Tanh())
    run = theory_of(model, inputs, batch=64)
    assert ends(run) == [("input", 1, reason)]
    assert np.isnan(run.statistics["second_moment"].theory).all()


def test_a_module_that_remembers_is_measured_as_without_a_graph():
    """What a run by torch.export leaves in it is no part of the first trial."""

    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.calls = lecun(8, 8), 0

        def forward(self, x):
            self.calls += 1
            torch.randn(3)
            return nn.functional.dropout(self.calls * self.a(x))

    drawn = snstat.trace(Remembers, "Bx8", trials=1, seed=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "DRAWN", ())
        plain = snstat.trace(Remembers, "Bx8", trials=1, seed=4)
    assert not unknown(drawn, "a")
    assert unknown(plain, "a")
    for name, statistic in drawn.statistics.items():
        np.testing.assert_array_equal(statistic.estimate, plain.statistics[name].estimate)


def test_uniform_inputs_have_the_theory_of_their_law():
    run = theory_of(mlp, "uniform:Bx64", set={"depth": 2, "width": 64}, trials=64)
    assert worst(run) < 4.0
    assert run["input"].kurtosis.theory == pytest.approx(1.8)


def test_gradients_have_theory_where_the_whole_maps_and_all_is_read_out():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = lecun(16, 16), lecun(16, 16)

        def forward(self, x):
            return self.a(x), self.b(x)

    class Ends(Two):
        def forward(self, x):
            return torch.log(self.a(x)), self.b(x)

    def known(run):
        return np.isfinite(run.statistics["gradient"].theory).any()

    assert not known(theory_of(Two, "Bx16"))
    assert ends(theory_of(Ends, "Bx16")) == [("Ends", 1, "log has no theory")]
    options = {"depth": 2, "width": 64}
    assert known(theory_of(mlp, "Bx64", set=options))
    assert not known(theory_of(mlp, "Bx64", set=options, loss=torch.sum))


def test_layers_that_theory_does_not_know_after_others_end_it():
    def twice():
        return nn.Sequential(lecun(32, 32), nn.ReLU(), nn.Tanh(), lecun(32, 32))

    run = theory_of(twice, "Bx32")
    assert ends(run) == [("2", 1, "Tanh: it follows values that are not Gaussian")]
    assert not unknown(run, "1")
    assert unknown(run, "2")
    assert unknown(run, "3")


def test_keyword_arguments_and_second_inputs():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = lecun(16, 16), lecun(16, 16)

        def forward(self, *, y, x, ids):  # noqa: ARG002
            return self.a(x) + self.b(y)

    run = theory_of(Named, {"ids": "tokens:9:Bx2", "x": "Bx16", "y": "Bx16"})
    assert not unknown(run, "a")
    assert unknown(run, "b")
    assert ends(run)[-1][::2] == ("Named", "it depends on other values than those of the input")


@pytest.mark.parametrize("units", [1, 2, 3])
def test_heads_of_few_units_have_theory(units):
    """A mean of few squares may be far below its expectation."""
    for seed in range(20):
        run = theory_of(
            lambda: nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, units)),
            "Bx16",
            trials=16,
            batch=2,
            seed=seed,
        )
        assert np.isfinite(run.second_moment.theory).all(), run.module.notes


def test_one_bias_that_is_no_draw_ends_theory():
    def wide():
        layer = nn.Linear(16, 1)
        nn.init.uniform_(layer.bias, -2.0, 2.0)
        return layer

    assert "its biases fit no named initialiser" in str(theory_of(wide, "Bx16", trials=8).module)
