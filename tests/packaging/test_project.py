"""Files of the repository that other programs read: they are valid, and agree on the version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snstat import __version__

CHECKOUT = Path(__file__).parents[2]
GITHUB = CHECKOUT / ".github"
FORMS = sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml"))
WORKFLOWS = [
    *sorted(GITHUB.glob("workflows/*.yml")),
    CHECKOUT / "examples/check/github-workflow.yml",
]
CITATION = CHECKOUT / "CITATION.cff"
# Schema of check-jsonschema, which brings them along -> files.
SCHEMAS = {
    "citation-file-format": [CITATION],
    "github-issue-config": [path for path in FORMS if path.stem == "config"],
    "github-issue-forms": [path for path in FORMS if path.stem != "config"],
    "github-workflows": WORKFLOWS,
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_are_valid(schema):
    assert SCHEMAS[schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    result = subprocess.run(
        [*command, *map(str, SCHEMAS[schema])], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_changelog_and_the_citation_have_this_version_and_one_date():
    log = (CHECKOUT / "CHANGELOG.md").read_text("utf-8")
    version, date = re.findall(r"^## (\S+) \((\S+)\)$", log, re.MULTILINE)[0]
    citation = yaml.safe_load(CITATION.read_text("utf-8"))
    assert version == citation["version"] == __version__
    assert date == str(citation["date-released"])


def test_copied_files_name_this_version():
    folder = CHECKOUT / "examples" / "check"
    assert f"rev: v{__version__}" in (folder / "pre-commit-config.yaml").read_text("utf-8")
    assert f'"snstat=={__version__}"' in (folder / "github-workflow.yml").read_text("utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_targets_and_scripts_that_exist(path):
    made = (CHECKOUT / "Makefile").read_text("utf-8")
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    for job in jobs.values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            word, _, target = step.get("run", "").partition(" ")
            assert word != "make" or re.search(rf"^{target}:", made, re.MULTILINE)
            assert not word.startswith(".") or (CHECKOUT / word).exists()
