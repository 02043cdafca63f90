"""How wide must the network be before theory holds? This script tries eight widths.

Theory is the limit of infinite width. One network of width n deviates from it by fluctuations of
order 1/√n. The script measures them for the variance at the last of 16 SELU layers.
"""

import math

import snstat

DEPTH, TRIALS, TOLERANCE = 16, 64, 0.05

print(f"{'width':>6}  {'mean variance':>14}  {'spread of one network':>22}")
wide_enough = None
for width in (16, 32, 64, 128, 256, 512, 1024, 2048):
    run = snstat.propagate("selu", DEPTH, width=width, trials=TRIALS, batch=16)
    variance = run.layers[DEPTH].variance
    spread = variance.stderr * math.sqrt(TRIALS)
    print(f"{width:6}  {variance.estimate:14.4f}  {spread:22.4f}")
    if wide_enough is None and abs(variance.estimate - variance.theory) + 2 * spread < TOLERANCE:
        wide_enough = width

answer = f"from width {wide_enough} on" if wide_enough else "only beyond width 2048"
print(f"\nA single network stays within {TOLERANCE:g} of the predicted variance {answer}.")
