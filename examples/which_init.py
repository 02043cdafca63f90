"""Which initialiser drew the weights of a file? This script writes one, and has it named.

A "truncated normal" is often coded as a normal that is cut at two standard deviations, and not
divided by the 0.8796 that is left of its standard deviation. Nothing fails then, but each layer
multiplies the variance by 0.774. `snstat.weights` tells such weights from those that were meant.
"""

import numpy as np

import snstat

FAN_IN, UNITS = 768, 512

g = np.random.default_rng(0)
cut = g.standard_normal((UNITS, FAN_IN))
while (outside := np.abs(cut) > 2).any():
    cut[outside] = g.standard_normal(outside.sum())
normal = g.standard_normal((UNITS, FAN_IN))
weights = {
    "as meant": cut / 0.87962566 / np.sqrt(FAN_IN),
    "as coded": cut / np.sqrt(FAN_IN),
    "normal": normal / np.sqrt(FAN_IN),
    "for relu": normal * np.sqrt(2 / FAN_IN),
    "torch": g.uniform(-1, 1, (UNITS, FAN_IN)) / np.sqrt(FAN_IN),
    "rotation": np.linalg.qr(normal.T)[0].T,
    "rescaled": normal * np.linspace(0.02, 0.06, UNITS)[:, None],
}
np.savez("layers.npz", **{name: matrix.astype(np.float32) for name, matrix in weights.items()})

print(f"{'matrix':10}{'gain':>8}  drawn with")
for tensor in snstat.weights("layers.npz").tensors:
    names = " or ".join(scheme.name for scheme in tensor.schemes) or "no named initialiser"
    print(f"{tensor.name:10}{tensor.gain:8.4f}  {names}")
    if "uncorrected" in names:
        print(f"{'':20}Divide its standard deviation by 0.8796: this gain should be 1.")
