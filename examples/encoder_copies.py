"""What follows from nn.TransformerEncoder copying one layer to all blocks? Needs PyTorch.

All blocks start with the weights of the first one, so that each adds almost what the one before has
added: in the same direction. What blocks of their own weights add points elsewhere each time.
"""

from torch import nn

import snstat

WIDTH, BLOCKS = 256, 12


def block() -> nn.Module:
    """Return a pre-norm block with fresh weights, as PyTorch draws them."""
    return nn.TransformerEncoderLayer(WIDTH, 8, dropout=0.0, batch_first=True, norm_first=True)


def copies() -> nn.Module:
    """Return what nn.TransformerEncoder makes of one block: it copies it, weights and all."""
    return nn.TransformerEncoder(block(), BLOCKS, enable_nested_tensor=False)


def fresh() -> nn.Module:
    """Return as many blocks, each with weights of its own."""
    return nn.Sequential(*(block() for _ in range(BLOCKS)))


print("Second moment after 1, 4, 8 and 12 blocks:")
for model in (copies, fresh):
    run = snstat.trace(model, inputs=f"Bx16x{WIDTH}", trials=3, batch=4, backward=False)
    ends = [row.layer for row in run.layers if row.kind == "TransformerEncoderLayer"]
    square, shown = run.second_moment, (ends[0], *ends[3::4])
    sizes = (f"{square.estimate[end]:.2f} ± {square.stderr[end]:.2f}" for end in shown)
    print(f"  {model.__name__:6}  {', '.join(sizes)}")
