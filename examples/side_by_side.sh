#!/bin/sh
# Compare SELU, ReLU and tanh over 64 layers: which preserves the signal, and which loses the
# difference between inputs? The first command prints the table, the second draws the figure.
set -eu
snstat propagate -a selu -a relu -a tanh --depth 64 --width 512 --layers 0,1,8,64
snstat plot -a selu -a relu -a tanh --depth 64 --width 512 -o side_by_side.png
echo "Drawn: side_by_side.png"
