"""Functions of scipy that are loaded without their package."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scipy import special as whole

import snstat
from snstat.values.special import compiled, special


@pytest.mark.parametrize("name", ["erf", "expit", "ndtr", "log_ndtr", "gammainccinv", "ndtri"])
def test_the_functions_are_those_of_scipy(name):
    assert special(name) is getattr(whole, name)


def test_a_module_that_does_not_exist_is_an_error():
    with pytest.raises(ImportError):
        compiled("special", "no_such_module")


@pytest.mark.skipif(not hasattr(whole, "_special_ufuncs"), reason="scipy before 1.15")
def test_judging_a_saved_run_loads_no_package_of_scipy(tmp_path):
    path = tmp_path / "run.json"
    snstat.save(snstat.propagate("tanh", depth=30, width=64, batch=8, trials=4), path)
    program = (
        "import sys\nfrom snstat.cli import run\n"
        f"run(['check', {str(path)!r}])\n"
        "sys.exit(' '.join({'scipy.special', 'numpy.ma'} & set(sys.modules)) or None)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (found.returncode, found.stderr) == (0, "")
