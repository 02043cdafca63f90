"""A run as a pandas DataFrame contains every number of the record, in long form."""

from __future__ import annotations

import math

import pytest

import snstat

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.peers


def test_a_frame_contains_every_number_of_the_record():
    run = snstat.propagate("relu", depth=3, width=16, batch=4, trials=2, backward=True)
    frame = run.to_frame()
    assert list(frame.columns[:5]) == ["layer", "name", "statistic", "finite", "estimate"]
    assert len(frame) == len(run.statistics) * 4
    for row in frame.to_dict("records"):
        entry = run.layers[row["layer"]].statistics[row["statistic"]]
        for key, value in dict(entry).items():
            expected = math.nan if value is None else value
            assert row[key] == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    wide = frame.pivot_table(index="layer", columns="statistic", values="estimate")
    assert wide.loc[3, "variance"] == run.variance.estimate[3]


def test_a_frame_has_a_row_for_each_kept_trial():
    options = {"width": 8, "batch": 4, "trials": 3, "backward": True}
    run = snstat.propagate("relu", depth=2, keep_trials=True, **options)
    frame = run.to_frame()
    assert len(frame) == len(run.statistics) * 3 * 3
    for row in frame.to_dict("records"):
        kept = run.statistics[row["statistic"]].trials[row["trial"], row["layer"]]
        assert row["value"] == pytest.approx(kept, rel=0, abs=0, nan_ok=True)
    assert "trial" not in snstat.propagate("relu", depth=2, **options).to_frame()
