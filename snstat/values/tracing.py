"""What options and saved files of a trace have in common: the names of its modes and dtypes."""

from __future__ import annotations

# Before the names of models that other packages build.
TIMM, HF = "timm", "hf"
# How a module is sampled, in the place of the name of a sampler.
TRACE = "trace"
MODES, DROPOUT, TRIALS_OF = ("train", "eval"), ("keep", "off"), ("model", "inputs")
DTYPES = ("float32", "float64", "bfloat16", "float16")
# How the axes of a tensor became known.
FOUND = ("probed", "kind", "given")
