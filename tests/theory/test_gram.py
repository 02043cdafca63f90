"""Fluctuations of the Gram matrix of two samples contain those of one sample."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.fluctuations import follow
from snstat.theory.gram import follow_gram
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "selu", "widths": "40,60,30*2,50"},
        {"activation": "selu", "widths": "40,60,30*2,50", "init": "orthogonal", "bias_std": 0.4},
        {"activation": "tanh", "widths": "40,60,30*2,50", "init": "lecun_uniform", "bias_std": 0.4},
        {"activation": "gelu", "widths": "40,60,30*2,50", "init": "orthogonal", "weight_gain": 1.5},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_sums_and_differences_fluctuate_as_their_samples_do(options):
    """φ₁² + φ₂² is ½(φ₁ + φ₂)² + ½(φ₁ − φ₂)², and φ₁² − φ₂² is twice their mixed term: variances,
    covariances and biases of the squares of one sample and of two follow from either."""
    stack = Stack.build(**options)
    inputs = DrawnInputs("normal", 40, 4, 0.5, 1.0).moments()
    theory = predict(stack, 4, inputs)
    moments = Moments(stack, theory, backward=False)
    known = follow(stack, 4, inputs, theory, moments)
    gram = follow_gram(stack, inputs, theory, moments, known)
    # Those of the next layer's q are those of the squares times λ or λ².
    own, pair = (part[2:] / known.share[2:] ** 2 for part in (known.variance, known.pair))
    bias = known.bias[2:] / known.share[2:]
    c = theory.statistics["cosine"][1:-1]
    along, across, first, mixed, second, crossed = (
        getattr(gram, name)[1:-1]
        for name in ("along", "across", "first", "mixed", "second", "crossed")
    )
    total = (1 + c) ** 2 * first + (1 - c) ** 2 * second + 2.0 * (1 - c * c) * mixed
    # Moments of pairs are known to five digits.
    np.testing.assert_allclose(total / 4.0, (own + pair) / 2.0, rtol=2e-5)
    np.testing.assert_allclose((1 - c * c) * crossed, (own - pair) / 2.0, rtol=2e-5)
    np.testing.assert_allclose(((1 + c) * along + (1 - c) * across) / 2.0, bias, rtol=2e-5)
    assert (np.abs(mixed) > 1e-4).all()
