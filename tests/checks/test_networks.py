"""Checks of networks of any layers: verdicts, baselines by name, configurations."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import snstat
from snstat.checks.config import load_config
from snstat.checks.matching import matched, places, unmatched
from snstat.checks.request import Request
from snstat.checks.unlikely import chance_of
from snstat.cli import run as command
from snstat.errors import SnstatError
from snstat.report.opening import opening
from snstat.results import Statistic
from snstat.testing import assert_propagates

SAMPLING = {"batch": 8, "trials": 4}
WIDE = 256


def residual(*layers, scale=1.0, **keys):
    return {"kind": "residual", "layers": list(layers), "scale": scale} | keys


def dense(width=WIDE, **keys):
    return {"kind": "dense", "width": width} | keys


def network(*layers, name="net", **law):
    form = {"name": name, "input": {"channels": WIDE} | law, "layers": list(layers)}
    return snstat.Network.read(form)


GROWING = network(
    {"kind": "block", "times": 12, "layers": [residual(dense(activation="relu"))]}, dense(10)
)
SOUND = network(
    {
        "kind": "block",
        "times": 12,
        "name": "body",
        "layers": [
            residual({"kind": "layer_norm"}, dense(activation="relu"), dense(), name="ffn"),
        ],
    },
    dense(10, name="head"),
)


def test_a_sound_network_passes():
    found = assert_propagates(SOUND, **SAMPLING)
    assert found.verdict == "stable"
    assert found.network.name == "net"
    assert found.stack is None


def test_a_network_that_explodes_fails_by_theory_and_by_what_is_seen():
    found = snstat.check(GROWING, **SAMPLING)
    (first,) = [entry for entry in found.findings if entry.code == "SN102"]
    assert found.verdict == "exploding"
    second = snstat.propagate(GROWING, **SAMPLING).second_moment
    bad = np.flatnonzero(second.theory > 100.0)
    assert first.layer == bad[0]
    assert first.value == pytest.approx(second.theory[first.layer])
    assert "theory; seen" in first.message


def test_measured_values_are_judged_where_there_is_no_theory():
    """An activation of a sum that is not Gaussian has no theory."""
    layers = [residual(dense(activation="relu")), {"kind": "activation", "activation": "relu"}]
    grows = network({"kind": "block", "times": 10, "layers": layers})
    found = snstat.check(grows, **SAMPLING)
    assert found.verdict == "exploding"
    (entry,) = [entry for entry in found.findings if entry.code == "SN102"]
    assert "seen" in entry.message
    assert "theory;" not in entry.message
    assert any("no theory from layer 3" in note for note in found.notes)


ACT = {"kind": "activation", "activation": "relu"}
NORM = {"kind": "layer_norm"}


@pytest.mark.parametrize(
    ("target", "said"),
    [((0.0, 1.0), None), ((0.0, 3.0), "variance 1"), ((2.0, 1.0), "mean "), ((0.0, 0.95), None)],
)
def test_the_target_is_compared_with_what_is_seen_where_there_is_no_theory(target, said):
    """Two activations in a row have no theory. A norm brings any signal to mean 0 and variance 1,
    but for its epsilon."""
    without = network(dense(64, activation="tanh"), ACT, NORM, ACT, NORM)
    options = {"target_mean": target[0], "target_variance": target[1], "select": ["SN103"]}
    found = snstat.check(without, **options, **SAMPLING)
    assert np.isnan(snstat.propagate(without, **SAMPLING).variance.theory[-1])
    if said is None:
        assert found.findings == ()
        return
    (entry,) = found.findings
    assert f"by layer 5: {said}" in entry.message
    assert entry.message.count("seen") == 1
    assert "beyond" not in entry.message


def test_a_target_is_missed_where_no_float_holds_the_signal():
    """Squares of 1e200 overflow, in theory and in the simulation."""
    grows = network(NORM, *[dense(64, weight_gain=1e25, activation="relu")] * 8, dense(8))
    options = {"target_mean": 0.0, "target_variance": 1.0, "select": ["SN103"]}
    (entry,) = snstat.check(grows, **options, **SAMPLING).findings
    assert "mean beyond any float" in entry.message or "variance beyond any float" in entry.message


LIMIT = "not judged: only a block that is repeated 4 times or more has a limit"


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ({"select": ["SN402"]}, ["SN402 not judged: there is no residual"]),
        ({"select": ["sn101,branches-fade"]}, ["SN402 not judged: there is no residual"]),
        # The beginning of several codes names none of them.
        ({"select": ["SN4"]}, []),
        ({"select": ["SN3"]}, [f"SN302 {LIMIT}"]),
        ({"select": ["SN101"]}, []),
        ({"select": ["SN302", "SN3"]}, [f"SN302 {LIMIT}"]),
        ({"ignore": ["SN302", "SN501"]}, [f"SN104 {LIMIT}"]),
        ({"select": ["SN1", "SN3"]}, [f"SN104 and SN302 {LIMIT}"]),
    ],
)
def test_notes_are_on_rules_that_are_selected(options, notes):
    found = snstat.check(
        network(NORM, dense(64, activation="relu"), dense(8)), **options, **SAMPLING
    )
    assert [*found.notes] == notes


def test_gradients_of_a_network_are_judged():
    layers = [dense(weight_gain=0.5)] * 12
    # A layer that is not plain, so that this is no stack.
    found = snstat.check(network({"kind": "rms_norm"}, *layers), backward=True, **SAMPLING)
    assert {"SN101", "SN201"} <= {entry.code for entry in found.findings}


def test_standard_inputs_are_offered():
    far = network({"kind": "scale", "factor": 1.0}, dense(activation="relu"), std=30.0)
    bounds = {"target_mean": 0.564, "target_variance": 0.682, "select": ["SN103"]}
    found = snstat.check(far, **bounds, **SAMPLING)
    (entry,) = found.findings
    assert entry.remedy == "use --input-std 1 (now 30)"
    assert snstat.check(far, input_std=1.0, **bounds, **SAMPLING).passed


def test_weights_of_selu_are_compared_with_the_theorem():
    far = network({"kind": "layer_norm"}, dense(activation="selu", weight_gain=1.3), dense())
    found = snstat.check(far, select=["SN601"], **SAMPLING)
    (entry,) = found.findings
    assert (entry.layer, entry.value) == (2, pytest.approx(1.69))


def test_a_baseline_is_compared_by_name():
    inserted = network(
        {
            "kind": "block",
            "times": 12,
            "name": "body",
            "layers": [
                residual(
                    {"kind": "layer_norm"},
                    dense(activation="relu"),
                    dense(),
                    {"kind": "scale", "factor": 1.0, "name": "extra"},
                    name="ffn",
                ),
            ],
        },
        dense(10, name="head"),
    )
    baseline = snstat.propagate(SOUND, **SAMPLING)
    run = snstat.propagate(inserted, **(SAMPLING | {"seed": 1}))
    beside = matched(run, baseline)
    names = [row.name for row in run.layers]
    numbers = {row.name: row.layer for row in baseline.layers}
    for place, name in enumerate(names):
        value = beside.variance.estimate[place]
        if name.endswith("extra"):
            assert value == run.variance.estimate[place]
            assert np.isnan(beside.variance.stderr[place])
        else:
            assert value == baseline.variance.estimate[numbers[name]]
    (note,) = unmatched(run, baseline)
    assert "body.0.ffn.extra" in note
    assert "and 9 more not in the baseline" in note


def test_a_network_beside_a_stack_is_compared_by_number():
    """Rows of a stack are called 1, 2, … and layers of a network that have no name 0, 1, …"""
    layers = [dense(activation="relu")] * 3
    one = snstat.propagate(network(*layers, {"kind": "layer_norm"}), **SAMPLING)
    other = snstat.propagate("relu", 3, width=WIDE, **SAMPLING)
    assert places(one, other).tolist() == [0, 1, 2, 3, -1]
    assert places(other, one).tolist() == [0, 1, 2, 3]
    how = "layers are matched by number and kind: 4"
    assert unmatched(one, other) == [f"{how} not in the baseline"]
    assert unmatched(other, one) == [f"{how} only in the baseline"]
    same = snstat.propagate(network(*layers), **SAMPLING)
    assert unmatched(same, other) == []
    np.testing.assert_array_equal(matched(same, other).mean.estimate, other.mean.estimate)


def test_an_inserted_layer_is_one_note(tmp_path):
    snstat.save(snstat.propagate(SOUND, **SAMPLING), tmp_path / "base.json")
    one_more = network(*SOUND.form()["layers"], {"kind": "scale", "factor": 1.0, "name": "extra"})
    found = snstat.check(one_more, baseline=tmp_path / "base.json", select=["SN701"])
    assert found.passed
    (note,) = [note for note in found.notes if "matched" in note]
    assert note == "layers are matched by name and kind: extra not in the baseline"
    same = snstat.check(one_more, baseline=tmp_path / "base.json", same_seed=True, select=["SN701"])
    assert same.passed
    again = snstat.check(SOUND, baseline=tmp_path / "base.json", select=["SN701"])
    assert again.passed
    assert again.simulation.batch == SAMPLING["batch"]  # taken from the baseline
    same = snstat.check(baseline=tmp_path / "base.json", same_seed=True, select=["SN701"])
    assert same.passed
    assert same.network.name == "net"


def test_a_changed_gain_is_found(tmp_path):
    snstat.save(snstat.propagate(SOUND, **SAMPLING), tmp_path / "base.json")
    other = SOUND.turned("weight_gain", 1.3)
    found = snstat.check(other, baseline=tmp_path / "base.json", select=["SN701"])
    assert not found.passed
    assert "the network differs from the baseline's" in found.notes


def test_a_saved_run_is_judged_as_when_it_was_made(tmp_path):
    run = snstat.propagate(GROWING, **SAMPLING)
    snstat.save(run, tmp_path / "run.json")
    loaded = snstat.load(tmp_path / "run.json")
    now = Request.build({}, saved=loaded).judge(loaded)
    was = snstat.check(GROWING, **SAMPLING)
    assert [entry.message for entry in now.findings] == [entry.message for entry in was.findings]
    assert now.verdict == was.verdict


def test_a_configuration_names_a_network_file(tmp_path, monkeypatch, capsys):
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.toml").write_text(
        'input = {channels = 8}\nparameters = {width = 8}\nlayers = [{kind = "layer_norm"},'
        ' {kind = "dense", width = "=width"}]\n'
    )
    (tmp_path / "snstat.toml").write_text(
        '[check]\nwidth = 32\ntrials = 2\nbatch = 4\n[check.mine]\nnetwork = "model.toml"\n'
        "set = {width = 16}\n[check.plain]\ndepth = 2\n"
    )
    declared = {entry.name: entry.options for entry in load_config(tmp_path / "snstat.toml")}
    assert declared["mine"]["set"] == {"width": 16}
    assert "width" not in declared["mine"]
    assert declared["plain"]["width"] == 32
    monkeypatch.chdir(tmp_path)
    command(["check"])
    out = capsys.readouterr().out
    assert "model · 2 layers · 8 → 16" in out
    assert "SELU · 2 layers of 32" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('network = "none.toml"', "none.toml"),
        ('network = "model.toml"\nset = {depth = 3}', "unknown parameter 'depth'"),
        ("set = {width = 3}", "it sets the parameters of a file"),
        ('network = "model.toml"\ndepth = 3', "left out beside a network"),
    ],
)
def test_errors_of_such_a_configuration_name_it(tmp_path, capsys, text, words):
    (tmp_path / "model.toml").write_text(
        'input = {channels = 8}\nparameters = {width = 8}\nlayers = [{kind = "layer_norm"}]\n'
    )
    path = tmp_path / "snstat.toml"
    path.write_text(f"[check]\n{text}\n")
    assert command(["check", "--config", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err
    assert "snstat.toml:1" in err


def test_the_command_takes_a_network_file(tmp_path, capsys):
    path = tmp_path / "model.toml"
    SOUND.save(path)
    arguments = ["check", str(path), "-b", "4", "-t", "2"]
    assert command(arguments) == 0
    assert "passed net: stable" in capsys.readouterr().out
    assert command([*arguments, "--depth", "3"]) == 2
    assert "beside a network file" in capsys.readouterr().err
    assert command([*arguments, "run.json"]) == 2
    assert "give it alone" in capsys.readouterr().err
    assert command(["check", "--set", "width=3"]) == 2
    assert "without a network file" in capsys.readouterr().err


def test_a_depth_limit_is_for_stacks():
    with pytest.raises(SnstatError, match="network files describe these layers only"):
        snstat.check(SOUND, depth_limit=1000, **SAMPLING)


@pytest.mark.parametrize(("name", "batch"), [("variance", 1), ("variance_over_units", 4)])
def test_the_variance_after_a_norm_gives_no_false_alarms(name, batch):
    """What a variance lacks there, the square of a mean, is skewed: of 20,000 runs of 8 trials, one
    in a hundred at most is unlikelier than 1 %, and chance may add five standard errors to it."""
    random, runs, trials, level = np.random.default_rng(4), 20_000, 8, 0.01
    lacking = random.normal(size=(runs, trials, batch)) ** 2 / 32.0
    values = 1.0 - lacking.mean(axis=2)
    statistic = Statistic(
        values.mean(axis=1),
        values.std(axis=1, ddof=1) / np.sqrt(trials),
        np.ones(runs),
        np.full(runs, 1.0 - 1.0 / 32.0),
        np.zeros(runs),
    )
    chance = chance_of(SimpleNamespace(batch=batch), name, statistic, trials, np.zeros(runs))
    allowed = level + 5.0 * np.sqrt(level / runs)
    assert (chance < level).mean() <= allowed


def test_a_network_file_that_is_a_stack_is_mended_in_its_words():
    stack = network({"kind": "block", "times": 30, "layers": [dense(64, activation="tanh")]})
    found = snstat.check(stack.turned("weight_gain", 3.0), select=["SN202"], **SAMPLING)
    (entry,) = found.findings
    assert found.stack is not None
    assert entry.remedy == 'leave out "weight_gain" of dense layer 0.0'
    assert snstat.check(stack, select=["SN202"], **SAMPLING).passed


def test_a_network_file_that_is_a_stack_has_remedies_for_the_target_of_its_activation():
    body = {"kind": "block", "times": 20, "layers": [dense(activation="selu")]}
    stack = network(body, dense(10, name="head"))
    found = snstat.check(stack.turned("weight_gain", 1.4), select=["SN103"], **SAMPLING)
    (entry,) = found.findings
    assert entry.layer == 20  # before the read-out, which has a scale of its own
    assert entry.remedy == 'leave out "weight_gain" of dense layers 0.0 and head'
    assert snstat.check(stack, select=["SN103"], **SAMPLING).passed


@pytest.mark.parametrize("seed", range(4))
def test_units_that_are_off_for_the_one_sample_are_not_dead(seed):
    """Half of them are, more or less by chance: in 4 trials of 4 layers of 16, 0.5 is exceeded in
    some layer nearly always."""
    layers = [dense(16, activation="relu"), {"kind": "layer_norm"}]
    one = network({"kind": "block", "times": 4, "layers": layers}, dense(4), channels=16)
    options = {"batch": 1, "trials": 4, "seed": seed}
    assert (snstat.propagate(one, **options).dead_fraction.estimate > 0.5).any()
    assert "SN401" not in {entry.code for entry in snstat.check(one, **options).findings}


def test_a_note_says_most_statistics_of_one_group_only():
    layers = [{"kind": "layer_norm"}, dense(64, activation="relu"), dense(32)]
    body = {"kind": "block", "times": 3, "layers": [residual(*layers)]}
    mixed = network(dense(32, activation="relu"), body, dense(10), channels=32)
    found = snstat.check(mixed, backward=True, batch=16, trials=8)
    (note,) = (text for text in found.notes if text.startswith("SN501"))
    ends = "variance over batch, cosine, kurtosis and gradient in no layer"
    assert note.count("most statistics") <= 1
    why = "how far theory may be off elsewhere is not known"
    assert note.endswith(f" only up to layer 2, {ends}: {why}")


def test_gradients_through_batch_norm_of_few_samples_are_said_not_to_settle():
    layers = [dense(64), {"kind": "batch_norm"}, {"kind": "activation", "activation": "relu"}]
    for batch, words in ((2, "set by epsilon"), (3, "set by epsilon"), (5, "do not settle")):
        found = snstat.check(network(*layers, dense(64)), batch=batch, trials=4, backward=True)
        assert any(words in note for note in found.notes)
        assert not {"SN001", "SN202"} & {entry.code for entry in found.findings}
        run = snstat.propagate(network(*layers, dense(64)), batch=batch, trials=4, backward=True)
        told = [sentence.text for sentence in opening(run, found)]
        assert any(text.startswith(f"Batch norm of {batch} samples: ") for text in told)
    found = snstat.check(network(*layers, dense(64)), batch=6, trials=4)
    assert not any("batch norm of" in note for note in found.notes)


@pytest.mark.parametrize(
    ("given", "name", "called"),
    [
        (SOUND, None, "net"),
        (SOUND, "mine", "mine"),
        (network(dense(8), name=""), None, "network"),
        (network({"kind": "scale"}, dense(8), name=""), None, "network"),
        ("relu", None, "default"),
    ],
)
def test_a_check_is_called_as_its_network_is(given, name, called):
    assert snstat.check(given, name=name, depth=None, **SAMPLING).name == called


def test_a_run_is_judged_as_it_is(tmp_path):
    run = snstat.propagate(GROWING, **SAMPLING)
    path = tmp_path / "run.json"
    snstat.save(run, path)
    fresh = snstat.check(GROWING, **SAMPLING)
    for given in (run, path, str(path)):
        found = snstat.check(given)
        assert (found.name, found.verdict, found.findings) == ("net", "exploding", fresh.findings)
        assert found.simulation == run.simulation
    assert not snstat.check(run, baseline=path, same_seed=True, select="SN701").findings
    with pytest.raises(AssertionError, match="net: exploding"):
        assert_propagates(run)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trials": 3}, "trials is 3, but must be left out beside a saved run"),
        ({"depth": 3}, "depth is 3, but must be left out beside a saved run"),
        ({"inputs": np.ones((4, 4))}, "must be left out beside a saved run"),
        ({"set": {"width": 4}}, "set is .* left out beside a saved run"),
        ({"network": "net.toml"}, "network is 'net.toml', but must be left out beside a saved run"),
        ({"module": "models:net"}, "module is .* left out beside a saved run"),
    ],
)
def test_options_of_a_run_are_refused_beside_one(options, words):
    with pytest.raises(SnstatError, match=words):
        snstat.check(snstat.propagate("relu", 2, 8, **SAMPLING), **options)


def test_unknown_options_beside_a_run_are_named():
    with pytest.raises(TypeError, match="check has no argument 'variance_mx'; did you mean"):
        snstat.check(snstat.propagate("relu", 2, 8, **SAMPLING), variance_mx=3)


def test_a_renamed_file_is_compared_with_the_one_run_of_a_baseline(tmp_path, capsys):
    SOUND.save(tmp_path / "old.toml")
    renamed = network({"kind": "rms_norm", "name": "new"}, dense(8, name="end"), name="renamed")
    renamed.save(tmp_path / "new.toml")
    base, few = tmp_path / "base.json", ["--batch", "8", "--trials", "4"]
    old, new = str(tmp_path / "old.toml"), str(tmp_path / "new.toml")
    assert command(["check", old, *few, "--write-baseline", str(base)]) == 0
    assert command(["check", new, *few, "--baseline", str(base)]) == 0
    assert "layers are matched by name and kind" in " ".join(capsys.readouterr().out.split())
    # A network that is the baseline's, or was saved, names the check too.
    for arguments in ([str(base)], ["--baseline", str(base), *few]):
        assert command(["check", *arguments]) == 0
        assert capsys.readouterr().out.startswith("passed net: stable\n")
