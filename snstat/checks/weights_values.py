"""Is every weight a number, and every unit connected? SN602 and SN603."""

from __future__ import annotations

from snstat.checks.weights_rule import Flaw, WeightsCase, first_row, such_rows, weights_rule
from snstat.errors import name_words


@weights_rule("SN602", "non-finite-weight", verdict="non-finite")
def not_finite(case: WeightsCase) -> Flaw | None:
    """A file of weights holds a value that is not finite.

    **What it does.** It looks at every value of every tensor of floating numbers, biases and
    statistics of norms included, for infinities and NaN.

    **Why it matters.** One such value makes the output of its unit NaN or infinite for every
    sample, and after the next layer all outputs. A checkpoint that was saved after training broke
    down looks like any other until it is used.

    **What is compared.** The number of rows with such a value, or for tensors of fewer than two
    axes the number of such values, with 0.

    **Example.**

    ```console
    $ echo 'import numpy as np; g = np.random.default_rng(0)' > broken.py
    $ echo 'w = g.normal(0, 1 / 16, (64, 256)); w[7, 3] = np.nan' >> broken.py
    $ echo 'np.savez("broken.npz", fc=w)' >> broken.py; python broken.py
    $ snstat check broken.npz --select SN602
    FAILED broken.npz: non-finite
      broken.npz · 1 weight matrix
      SN602 non-finite-weight: row 7 of fc holds values that are not finite
            → go back to a checkpoint from before
    ```

    **How to fix it.** Go back to a checkpoint from before. Lower the learning rate, clip gradients,
    or keep the loss and the norms in float32.

    **Options.** None: no such value is harmless.

    **Known problems.** Of tensors that are no floating numbers nothing is known, and quantised ones
    are not read.

    **Source.** Micikevicius et al., *Mixed Precision Training*, arXiv:1710.03740.
    """
    rows = [tensor for tensor in case.weights.tensors if tensor.non_finite.count]
    values = [entry for entry in case.weights.skipped if entry.non_finite]
    if not rows and not values:
        return None
    if rows:
        total = sum(tensor.non_finite.count for tensor in rows)
        where = first_row(rows, rows[0].non_finite.first[0])
        others = such_rows(rows, total)
    else:
        total = sum(entry.non_finite for entry in values)
        where, others = name_words(values[0].name), ""
    text = f"{where} holds values that are not finite{others}"
    return Flaw(float(total), 0.0, text, "go back to a checkpoint from before")


@weights_rule("SN603", "dead-row")
def dead_row(case: WeightsCase) -> Flaw | None:
    """A unit has no weights: its row is all 0.

    **What it does.** It finds rows of weight matrices whose values are all 0, in a matrix that is
    not 0 as a whole.

    **Why it matters.** Such a unit gives its bias for every input. It stays as it is if its
    activation has derivative 0 there. After training it is what is left of a unit that weight decay
    or pruning removed, and may be cut out.

    **What is compared.** The number of such rows with 0.

    **Example.**

    ```console
    $ echo 'import numpy as np; g = np.random.default_rng(0)' > dead.py
    $ echo 'w = g.normal(0, 1 / 16, (64, 256)); w[7] = 0' >> dead.py
    $ echo 'np.savez("dead.npz", fc=w)' >> dead.py; python dead.py
    $ snstat check dead.npz --select SN603
    FAILED dead.npz: sound, but breaks SN603
      dead.npz · 1 weight matrix
      SN603 dead-row: row 7 of fc is 0
            → draw these rows again, or remove their units
    ```

    **How to fix it.** Draw these rows again, or remove the units and the columns of the next layer
    that read them.

    **Options.** None: a unit is connected or not.

    **Known problems.** The row of padding in an embedding is 0 on purpose: `--ignore SN603`. A
    matrix that is 0 as a whole, as the last one of a residual branch may be, is not found.

    **Source.** The counts of `snstat weights`, docs/weights.md.
    """
    found = [
        tensor
        for tensor in case.weights.tensors
        if tensor.dead_rows.count and (tensor.weight_square_sum.high != 0)
    ]
    if not found:
        return None
    count = sum(tensor.dead_rows.count for tensor in found)
    text = f"{first_row(found, found[0].dead_rows.first[0])} is 0{such_rows(found, count)}"
    return Flaw(float(count), 0.0, text, "draw these rows again, or remove their units")
