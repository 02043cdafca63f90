#!/bin/sh
# SELU, ReLU, tanh side by side, 64 layers: which of them keeps the signal, and which loses the
# difference between inputs? One command for the table, one for the picture.
set -eu
snstat propagate -a selu -a relu -a tanh --depth 64 --width 512 --layers 0,1,8,64
snstat plot -a selu -a relu -a tanh --depth 64 --width 512 -o side_by_side.png
echo "Drawn: side_by_side.png"
