"""The commands of pages that need PyTorch print what the pages show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs_blocks import OF_PEERS, blocks, run_script, script_of, shown, words

pytestmark = pytest.mark.peers

CHECKOUT = Path(__file__).parents[2]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "docs" / "questions.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_trace_shows_the_real_output(page, tmp_path):
    _, *parts = page.read_text("utf-8").split(f"{OF_PEERS} -->")
    found = [blocks(part)[0] for part in parts]
    assert any("snstat trace" in block.text for block in found)
    for block in found:
        script = script_of(block)
        assert script is not None
        result = run_script(script, tmp_path)
        assert result.returncode == 0, result.stderr
        if block.language == "console":
            assert words(shown(block, result.stdout)) == words(block.text)
