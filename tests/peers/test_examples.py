"""The examples that need PyTorch run unchanged in an empty folder and print their answers."""

from __future__ import annotations

import pytest

from tests.examples import TORCH_ANSWERS, assert_answers

pytestmark = pytest.mark.peers


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH_ANSWERS)
def test_example(name, tmp_path):
    assert_answers(name, tmp_path)
