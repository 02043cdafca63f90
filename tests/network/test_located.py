"""Errors of layers that do not fit, or cannot be called so, with their path in the file."""

from __future__ import annotations

import pytest

from snstat.errors import NetworkFormError
from snstat.network.network import Network

DENSE = {"kind": "dense", "width": 4}


def read(*layers, **root):
    return Network.read({"input": {"channels": 3}, "layers": list(layers)} | root)


NARROW = {"kind": "residual", "layers": [DENSE], "name": "r"}


@pytest.mark.parametrize(
    ("layers", "path", "words"),
    [
        ([DENSE, DENSE | {"inputs": ["0", "input"]}], "layers.1.dense", "inputs is 2, but must"),
        (
            [NARROW],
            "layers.0.residual",
            "shape of the branch is '(4)', but must be (3), as the shortcut is; end the branch",
        ),
        (
            [{"kind": "block", "name": "b", "times": 2, "layers": [{"kind": "rms_norm"}, NARROW]}],
            "layers.0.block.layers.1.residual",
            "shape of the branch is",
        ),
        (
            [
                {
                    "kind": "block",
                    "times": 3,
                    "layers": [
                        {"kind": "residual", "layers": [DENSE | {"width": 3}]},
                        DENSE | {"width": 5},
                    ],
                }
            ],
            "layers.0.block.layers.0.residual",
            "in repetition 1, counted from 0, shape of the branch is '(3)', but must be (5)",
        ),
        (
            [NARROW | {"shortcut": [DENSE, {"kind": "group_norm", "groups": 3}]}],
            "layers.0.residual.shortcut.1.group_norm",
            "groups is 3, but must be a divisor of the 4 channels before it; try 2",
        ),
        (
            [NARROW | {"layers": [DENSE, {"kind": "add", "input": "input"}]}],
            "layers.0.residual.layers.1.add",
            'inputs is 1, but must be two layers or more; name them: inputs = ["input", ',
        ),
        (
            [DENSE, {"kind": "multiply", "inputs": ["input", "previous"]}],
            "layers.1.multiply",
            "inputs is '(3) and (4)', but must be layers of one shape; a dense layer gives one",
        ),
    ],
)
def test_layers_that_do_not_fit_have_their_path_in_the_file(layers, path, words):
    with pytest.raises(NetworkFormError) as caught:
        read(*layers)
    assert caught.value.path == path
    assert caught.value.reason.startswith(words)
    assert len(str(caught.value).splitlines()) == 1


def test_a_network_that_does_not_fit_its_repetition_has_the_path_of_the_layer():
    grows = {"kind": "concat", "inputs": ["input", "input"]}
    norm = {"kind": "group_norm", "groups": 6}
    with pytest.raises(NetworkFormError) as caught:
        read(grows, norm, DENSE | {"width": 5}, times=2)
    assert caught.value.path == "layers.1.group_norm"
    words = "in repetition 1, counted from 0, groups is 6, but must be a divisor of the 10 channels"
    assert caught.value.reason.startswith(words)


@pytest.mark.parametrize("name", ["", " ", "a\x1b[31mb", "a\nb", "a\0", "a\u202eb", "a" * 10_000])
def test_a_layer_without_a_proper_name_is_named_in_one_line(name):
    with pytest.raises(NetworkFormError) as caught:
        read(DENSE, DENSE | {"name": name})
    text = str(caught.value)
    assert text.startswith("layers.1.dense: name is '")
    assert "but must be a letter or _, then letters, digits, - or _, at most 100" in text
    assert text.isprintable()
    assert len(text) < 250
