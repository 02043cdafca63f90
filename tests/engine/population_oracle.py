"""Populations of units in plain numpy: independent draws of N(0, K), by the Cholesky factor of K.

Inputs are N(0, 1). Each function returns the values of one trial, units by rows.
"""

from __future__ import annotations

import numpy as np


def drawn(covariance, units, random):
    """Return `units` draws of N(0, `covariance`), (units, …)."""
    return (factor(covariance) @ random.normal(size=(len(covariance), units))).T


def factor(covariance):
    size = len(covariance)
    return np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) / size * np.eye(size))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def recurrent(kind, random, *, channels, times, batch, units, gain, bias_std):
    """Return h (units, batch, times) of an LSTM or a GRU, one new row of the factor a step."""
    x = random.normal(size=(times * batch, channels))
    gates = {"lstm": 4, "gru": 3}[kind]
    of_inputs = gain**2 * x @ x.T / channels + bias_std**2
    driven = [drawn(of_inputs, units, random) for _ in range(gates)]
    biases = bias_std * random.normal(size=(gates, units, 1))
    # The numbers that the rows of the factor are multiplied with, those of all times and gates.
    normal = random.normal(size=(gates, times * batch, units))
    states = np.zeros((units, 0))
    h = c = np.zeros((units, batch))
    found = []
    for time in range(times):
        own = slice(time * batch, (time + 1) * batch)
        carried = biases + np.zeros((gates, units, batch))
        if time:
            states = np.concatenate([states, h], axis=1)
            rows = factor(gain**2 * states.T @ states / units)[-batch:]
            carried = carried + np.stack([(rows @ z[: states.shape[1]]).T for z in normal])
        into = np.stack([z[:, own] for z in driven])
        if kind == "lstm":
            i, f, g, o = into + carried
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            r, z = sigmoid(into[:2] + carried[:2])
            h = (1.0 - z) * np.tanh(into[2] + r * carried[2]) + z * h
        found.append(h)
    return np.stack(found, axis=2)


def dense(x, units, random, gain=1.0):
    """Return W x of x (fan_in, columns)."""
    return drawn(gain**2 * x.T @ x / len(x), units, random)


def post_activation(random, *, channels, batch, units, blocks):
    """Return x (units, batch) after so many x ← relu(x + W relu(V x))."""
    x = dense(random.normal(size=(channels, batch)), units, random)
    for _ in range(blocks):
        branch = np.maximum(dense(x, units, random, np.sqrt(2.0)), 0.0)
        x = np.maximum(x + dense(branch, units, random), 0.0)
    return x


def pooled(random, *, channels, batch, positions, units):
    """Return relu of a convolution of three taps around a circle, its maxima of two positions, and
    that again: (units, batch, positions/4)."""
    x = random.normal(size=(channels, batch, positions))
    for _ in range(2):
        taps = [np.roll(x, shift, axis=2).reshape(len(x), -1) for shift in (1, 0, -1)]
        covariance = sum(2.0 * tap.T @ tap / len(x) for tap in taps) / 3.0
        z = drawn(covariance, units, random).reshape(units, batch, -1)
        x = np.maximum(z, 0.0).reshape(units, batch, -1, 2).max(axis=3)
    return x
