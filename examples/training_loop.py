"""Do units die while a model is trained, and do gradients vanish? Needs PyTorch.

`python training_loop.py [PICTURE]` traces every hundredth step. A unit is dead if it is 0 for the
whole batch; gradients are squared, and relative to those of the outputs.
"""

import sys
from contextlib import nullcontext
from importlib.util import find_spec

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import snstat


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 1,797 images of 64 pixels from 0 to 16, those of scikit-learn if it is there."""
    if find_spec("sklearn"):
        from sklearn.datasets import load_digits

        return load_digits(return_X_y=True)
    g = np.random.default_rng(0)
    classes = g.integers(10, size=1797)
    noisy = g.uniform(0, 16, (10, 64))[classes] + 8 * g.standard_normal((1797, 64))
    return noisy.clip(0, 16), classes


torch.manual_seed(0)
torch.set_num_threads(1)  # of a small model: faster than several
images, classes = digits()
x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(classes)
relus = {f"ReLU {n}": str(2 * n - 1) for n in (1, 2, 3, 4)}  # their paths in the model
hidden = [part for _ in relus for part in (nn.Linear(64, 64), nn.ReLU())]
model = nn.Sequential(*hidden, nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
runs = {}
for step in range(501):
    chosen = torch.randint(len(x), (64,))
    optimizer.zero_grad()
    with snstat.tracing(model) if step % 100 == 0 else nullcontext() as trace:
        loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        loss.backward()
    optimizer.step()
    if trace is not None:
        runs[step] = trace.run

columns = Figure(figsize=(8, 3.5), layout="constrained").subplots(1, 2)
for axes, statistic in zip(columns, ("dead_fraction", "gradient"), strict=True):
    for name, path in relus.items():
        values = [run[path].statistics[statistic].estimate for run in runs.values()]
        axes.plot(list(runs), values, label=name)
        print(f"{statistic:13} of {name}: {values[0]:.2g} at first, {values[-1]:.2g} at last")
    axes.set(xlabel="step", title=statistic, yscale="log" if axes is columns[1] else "linear")
axes.legend()
picture = sys.argv[1] if len(sys.argv) > 1 else "steps.png"
axes.figure.savefig(picture)
print(f"Drawn: {picture}")
