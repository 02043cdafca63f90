"""The transformers of the examples show what they claim: by theory, and simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snstat

pytestmark = pytest.mark.examples

FOLDER = Path(__file__).parents[1] / "examples" / "networks"
WIDTH, BLOCKS, TRIALS = 128, 6, 24
# Student's t of 23 degrees of freedom is beyond 4.5 once in 6,000 comparisons; the seed is fixed.
# Each of two branches a block may be off by a part of 1/width, relative to the signal.
BEYOND, BIAS = 4.5, 2.0 * BLOCKS / WIDTH


def simulated(name, **options):
    return snstat.propagate(FOLDER / f"{name}.toml", trials=TRIALS, batch=4, **options)


def ends(run, ending):
    """Return the numbers of the layers that end a block."""
    return np.array([row.layer for row in run.layers if row.name.endswith(f".{ending}")])


@pytest.fixture(scope="module")
def prenorm():
    return simulated("encoder_prenorm", backward=True)


@pytest.fixture(scope="module")
def postnorm():
    return simulated("encoder_postnorm", backward=True)


def agrees(statistic, layers, scale):
    off = np.abs(statistic.estimate[layers] - statistic.theory[layers])
    return bool(np.all(off <= BEYOND * statistic.error[layers] + BIAS * scale))


@pytest.mark.parametrize("name", ["prenorm", "postnorm"])
def test_theory_of_encoders_is_what_is_simulated(name, request):
    run = request.getfixturevalue(name)
    layers = ends(run, "ffn" if name == "prenorm" else "norm")
    assert len(layers) == BLOCKS
    theory = run.second_moment.theory[layers]
    assert agrees(run.second_moment, layers, theory)
    assert agrees(run.statistics["position_cosine"], layers, 1.0)
    assert agrees(run.cosine, layers, 1.0)
    assert agrees(run.gradient, layers, run.gradient.theory[layers])


def test_a_stream_before_norms_grows_and_keeps_tokens_apart(prenorm, postnorm):
    """Each feed-forward branch adds 1, and attention what tokens have in common, 0 to 1."""
    stream, normed = ends(prenorm, "ffn"), ends(postnorm, "norm")
    square = prenorm.second_moment.theory[stream]
    assert np.all(np.diff(square) > 1.0)
    assert np.all(np.diff(square) < 2.0)
    np.testing.assert_allclose(postnorm.second_moment.theory[normed], 1.0, rtol=1e-4)
    apart, alike = (
        run.statistics["position_cosine"].theory[layers]
        for run, layers in ((prenorm, stream), (postnorm, normed))
    )
    assert apart[-1] < 0.6
    assert alike[-1] > 0.9
    # Gradients grow on the way back before norms, and shrink behind them.
    assert prenorm.gradient.theory[stream[0]] > 3.0
    assert postnorm.gradient.theory[normed[0]] < 0.3


@pytest.mark.parametrize("name", ["encoder_prenorm", "encoder_postnorm"])
def test_without_shortcuts_tokens_are_alike_in_the_second_block(name):
    path = FOLDER / f"{name}.toml"
    assert snstat.check(path, batch=8).passed
    found = snstat.check(path, batch=8, set={"skip": 0})
    (finding,) = [own for own in found.findings if own.code == "SN304"]
    assert [*snstat.Network.load(path).rows()][finding.layer - 1].name == "encoder.1.attend"
    assert finding.value > 0.99
    assert finding.remedy == "use --set skip=1 (now 0)"


def by_name(run, statistic):
    values = run.statistics[statistic].estimate
    return {row.name: value for row, value in zip(run.layers, values, strict=True)}


@pytest.mark.parametrize("post", [0, 1])
def test_a_transformer_without_shortcuts_loses_its_tokens(post):
    run = simulated("transformer", set={"post": post, "skip": 0})
    found = snstat.check(run)
    assert found.verdict == "collapsed"
    assert "SN304" in [own.code for own in found.findings]
    cosine = by_name(run, "position_cosine")
    assert cosine["encoder.0.attend"] < 0.9
    assert cosine["encoder.1.attend"] > 0.99


def test_norms_before_and_after_the_sums_of_the_transformer():
    """Before them, the stream grows, tokens stay apart, and gradients grow on the way back. After
    them, it stays at 1, tokens become alike, and gradients shrink."""
    before, after = (simulated("transformer", backward=True, set={"post": post}) for post in (0, 1))
    norms = [
        [row.name for row in run.layers if row.kind == "layer_norm"] for run in (before, after)
    ]
    # One for each of the five branches, and one after each of the two stacks.
    assert [len(names) for names in norms] == [5 * BLOCKS + 2, 5 * BLOCKS]
    squares = by_name(before, "second_moment")
    assert squares["decoder.0.ffn"] < 4.0
    assert squares["decoder.5.ffn"] > 10.0
    # The norm's ε takes up to 1e-5.
    assert by_name(after, "second_moment")["decoder.5.norm"] == pytest.approx(1.0, abs=1e-4)
    apart, alike = (by_name(run, "position_cosine") for run in (before, after))
    assert apart["decoder.5.ffn"] < 0.85
    assert alike["decoder.5.norm"] > 0.99
    # From the end of the decoder's last block but one to the end of the first.
    grown, shrunk = (by_name(run, "gradient") for run in (before, after))
    assert grown["decoder.0.ffn"] > 1.5 * grown["decoder.4.ffn"]
    assert shrunk["decoder.0.norm"] < 0.1 * shrunk["decoder.4.norm"]
    assert snstat.check(before).passed


def test_theory_of_the_transformer_ends_where_tokens_differ():
    run = simulated("transformer")
    known = np.isfinite(run.second_moment.theory)
    names = [row.name for row in run.layers]
    found = [name for name, own in zip(names, known, strict=True) if own]
    assert found[:3] == ["embed", "placed", "encoder.0.attend.0"]
    # A norm restores second moments of the branch behind it.
    branches = [
        f"{part}.{n}.ffn.{m}" for part in ("encoder", "decoder") for n in range(6) for m in (1, 2)
    ]
    assert sorted(found[3:]) == sorted([*branches, "decoder.0.self.0"])
    branch = run.second_moment.z[[names.index(name) for name in branches]]
    assert np.abs(branch).max() < 4.0
    assert run.second_moment.theory[names.index("placed")] == pytest.approx(1.5, rel=1e-12)
    # Causal attention reads few tokens at first, and the encoder's are read by all.
    cosine = run.statistics["position_cosine"].estimate
    assert cosine[names.index("decoder.0.cross.1")] > 0.98
    assert cosine[names.index("decoder.0.self.1")] < 0.7
