"""The scripts of examples/, what each must print, and how one is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
# Text that the answer of each example must contain; a new example needs an entry.
ANSWERS = {
    "figure2.py": ("figure2.png: fixed point at mean 0.0000, variance 1.0000",),
    "selu_with_torch_init.py": ("No: after 32 layers",),
    "side_by_side.sh": ("Drawn: side_by_side.png",),
    "which_init.py": (
        "lecun_truncated\n",
        "lecun_truncated_uncorrected\n" + 20 * " " + "Divide its standard deviation by 0.8796",
        "lecun_normal\n",
        "he_normal\n",
        "torch_default\n",
        "orthogonal\n",
        "no named initialiser\n",
    ),
    "width_for_theory.py": ("predicted variance from width",),
}
# Those of the examples that need PyTorch.
TORCH_ANSWERS = {
    # The standard error of the last of the copies is 1.2.
    "encoder_copies.py": ("  copies  1.07 ± 0.02, 2.1", ", 15.", "  fresh   1.07", ", 2.1"),
    "first_nan.py": (
        "LogScale: 6 of 10 rows are not finite",
        "The first is from 0.3 (LogScale), whose inputs were finite.",
        "OddLogScale: 0 of 10 rows are not finite",
    ),
    # The first block adds a standard normal n to the positive part of another, g, and
    # E relu(relu(g) + n)² = 1 + 1/(2π) = 1.159; the standard error is 0.012.
    "trace_resnet.py": ("Verdict: stable", "2.0.relu#2", "stage 1: 1.1"),
    "training_loop.py": ("dead_fraction of ReLU 1", "gradient      of ReLU 4", "Drawn: steps.png"),
}
ARGUMENTS = {"training_loop.py": ("steps.png",)}
PICTURES = {
    "figure2.py": ("figure2.png",),
    "side_by_side.sh": ("side_by_side.png",),
    "training_loop.py": ("steps.png",),
}


def assert_answers(name: str, folder: Path) -> None:
    """Run an example in `folder`, where warnings are errors, and look for its answer there."""
    path = EXAMPLES / name
    programs = Path(sys.executable).parent
    program = [sys.executable, "-W", "error"] if path.suffix == ".py" else ["sh"]
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        [*program, str(path), *ARGUMENTS.get(name, ())],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    for answer in (ANSWERS | TORCH_ANSWERS)[name]:
        assert answer in result.stdout, result.stdout
    for picture in PICTURES.get(name, ()):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
