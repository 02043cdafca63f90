"""Write the raw words of the random generator to standard output, endlessly.

    python -m tests.dieharder.streams one-key | dieharder -a -g 200

The package's kernel draws the words, as for the weights of the first layer in trial 0, in the
machine's byte order. A block has four words; the name of the stream states the order of blocks.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np
from numba import njit

from snstat.engine.kernels.random import HIGH, MASK, PURPOSE_SHIFT, WEIGHTS, philox, u32, u64

# Name -> (keys that take turns block by block, step of the index). 64 is the default batch.
STREAMS = {
    "one-key": (1, 1),
    "interleaved-keys": (64, 1),
    "stepped-counters": (1, 64),
}
# Blocks per write: 4 MiB.
BLOCKS = 2**18


# The kernel is not cached on disk, because the cache does not notice changes of the generator.
@njit(nogil=True)
def fill(words, first, keys, step, seed):
    """Fill `words` (blocks, 4) with blocks of a stream, from `first` on."""
    purpose, layer, trial = u64(WEIGHTS) << PURPOSE_SHIFT, u64(1), u64(0)
    for i in range(len(words)):
        block = first + u64(i)
        key = seed + block % keys
        index = block // keys * step
        a, b, c, d = philox(
            index & MASK, purpose | (index >> HIGH), layer, trial, key & MASK, key >> HIGH
        )
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = u32(a), u32(b), u32(c), u32(d)


def chunks(
    stream: str, *, seed: int = 0, first: int = 0, blocks: int = BLOCKS
) -> Iterator[np.ndarray]:
    """Yield the stream from block `first` on, in the same array (blocks, 4) each time."""
    keys, step = (np.uint64(number) for number in STREAMS[stream])
    words = np.empty((blocks, 4), np.uint32)
    while True:
        fill(words, np.uint64(first), keys, step, np.uint64(seed))
        yield words
        first += blocks


def main() -> None:
    parser = argparse.ArgumentParser(description="Write raw random words to standard output.")
    parser.add_argument("stream", choices=STREAMS)
    parser.add_argument("--first", type=int, default=0, help="the block to begin with [default: 0]")
    arguments = parser.parse_args()
    # The reader stops the stream by closing the pipe.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        for words in chunks(arguments.stream, first=arguments.first):
            sys.stdout.buffer.write(words)
            sys.stdout.buffer.flush()
    # Python would flush again at exit and report the broken pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
