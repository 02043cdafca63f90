"""`--max-bytes`: the largest tensor of a file of weights that is read."""

from __future__ import annotations

from snstat.limits import MAX_INTEGER
from snstat.values.kinds import Whole

# What the option takes, its help, and its default as help shows it. One tensor is in memory at a
# time, and half of the memory is left for what is made of it.
MAX_BYTES = Whole(1, MAX_INTEGER)
HELP = "The largest tensor of a file of weights that is read, in bytes; larger ones are refused."
SHOWN = "half of the free memory"
