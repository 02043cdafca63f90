"""Test whether SELU's normalisation survives PyTorch's default initialisation.

torch.nn.Linear draws weights of variance 1/(3·fan_in), a third of what SELU needs. This script
compares the variance after each layer under both initialisers and answers the question.
"""

import snstat

DEPTH = 32

runs = {
    init: snstat.propagate("selu", DEPTH, init=init, width=512, trials=4)
    for init in ("lecun_normal", "torch_default")
}

print("layer  " + "  ".join(f"{init:>20}" for init in runs))
for layer in (0, 1, 2, 4, 8, 16, 32):
    values = (run.variance.estimate[layer] for run in runs.values())
    print(f"{layer:5}  " + "  ".join(f"{value:20.4g}" for value in values))

kept = {init: run.variance.estimate[DEPTH] for init, run in runs.items()}
survives = kept["torch_default"] > 0.5 * kept["lecun_normal"]
print(
    f"\n{'Yes' if survives else 'No'}: after {DEPTH} layers torch_default leaves a variance of "
    f"{kept['torch_default']:.2g}, lecun_normal {kept['lecun_normal']:.2g}. "
    "Use lecun_normal: std = fan_in ** -0.5."
)
