"""The interactive page: whole by itself, the numbers of the record, and the scales of matplotlib's
figure."""

from __future__ import annotations

import io
import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest

import snstat
from snstat.cli import run as run_command
from snstat.plot import trajectory_options
from snstat.report.figures import draw_trajectory
from snstat.report.figures.series import series_of
from snstat.report.figures.style import STYLES
from snstat.report.interactive import draw_interactive

pytest.importorskip("bokeh")
pytestmark = pytest.mark.peers

NAMES = ["selu", "relu", "tanh"]
PANELS = ["mean", "variance", "cosine", "gradient"]
VOID = {"meta"}
# Attributes of HTML that load or send something.
LOADING = {"src", "href", "srcset", "action", "data", "poster", "background", "style", "onload"}
# Bokeh leaves out what it draws anyway: None is a circle, or no angle.
MARKERS = {"o": None, "s": "square", "^": "triangle"}


@pytest.fixture(scope="module")
def runs():
    small = {"depth": 24, "width": 24, "batch": 4, "trials": 3, "backward": True}
    return [snstat.propagate(name, **small) for name in NAMES]


def page_of(runs, description="", style="light", **options):
    target = io.BytesIO()
    page = draw_interactive(runs, style, trajectory_options(runs, **options))
    page.save(target, description=description)
    return target.getvalue().decode()


@pytest.fixture(scope="module")
def page(runs):
    return page_of(runs)


class Reader(HTMLParser):
    """Requires that elements are closed in order; keeps their attributes, and texts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))

    def texts_of(self, tag):
        return [text for name, text in self.texts if name == tag]


def models(item, name):
    """Yield the attributes of every model called `name` in a document."""
    if isinstance(item, dict):
        if item.get("name") == name and "attributes" in item:
            yield item["attributes"]
        for value in item.values():
            yield from models(value, name)
    elif isinstance(item, list):
        for value in item:
            yield from models(value, name)


def document(page):
    data, *_ = Reader(page).texts_of("script")
    return json.loads(data)


def columns_of(page):
    """Return the columns of each run in each panel, in the order in which they are drawn."""
    sources = [dict(own["data"]["entries"]) for own in models(document(page), "ColumnDataSource")]
    return [own for own in sources if "estimate" in own]


def numbers(column):
    return np.array([float(v["value"]) if isinstance(v, dict) else v for v in column], float)


def test_the_page_is_whole_and_loads_nothing(page):
    reader = Reader(page)
    for tag, attributes in reader.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not LOADING & set(attributes)
    (policy,) = [own["content"] for _, own in reader.elements if "http-equiv" in own]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    data, library, start = reader.texts_of("script")
    assert "Bokeh" in library
    assert len(library) > 1e6
    # The library names addresses, which the policy forbids; nothing of ours does.
    assert "://" not in page.replace(library, "")
    assert "embed_item" in start
    assert "<" not in data


def test_the_numbers_are_those_of_the_record(page, runs):
    found = columns_of(page)
    assert len(found) == len(PANELS) * len(runs)
    for place, columns in enumerate(found):
        statistic = runs[place % len(runs)].statistics[PANELS[place // len(runs)]]
        layers = columns["layer"]
        assert layers == list(range(25))
        assert columns["name"] == ["input", *map(str, range(1, 25))]
        assert columns["kind"] == ["input", *["dense"] * 24]
        for name, values in (
            ("estimate", statistic.estimate),
            ("stderr", statistic.stderr),
            ("theory", statistic.reference),
            ("z", statistic.z),
        ):
            np.testing.assert_array_equal(numbers(columns[name]), values)
        np.testing.assert_array_equal(numbers(columns["x"]), layers)
        np.testing.assert_array_equal(numbers(columns["y"]), statistic.estimate)
    last = found[0]
    shown = last["shown"][24].split(" ± ")
    assert float(shown[0]) == pytest.approx(last["estimate"][24], abs=0.5 * float(shown[1]))


def test_colours_markers_and_scales_are_those_of_the_picture(page, runs):
    looks = series_of(NAMES, STYLES["light"])
    glyphs = [own["glyph"]["attributes"] for own in models(document(page), "GlyphRenderer")]
    drawn = [
        (
            own["line_color"]["value"],
            *(own.get(key, {}).get("value") for key in ("marker", "angle")),
        )
        for own in glyphs
        if own.get("size") == {"type": "field", "field": "size"}
    ]
    assert len(drawn) == len(PANELS) * len(runs)
    expected = [(look.color, MARKERS[look.marker], None) for look in looks]
    assert drawn[: len(runs)] == expected
    figure = draw_trajectory(runs, "light", trajectory_options(runs))
    scales = [axes.get_yscale() for axes in figure.axes[: len(PANELS)]]
    assert set(scales) == {"linear", "log"}
    found = [own["y_scale"]["name"] for own in models(document(page), "Figure")]
    assert found == [{"linear": "LinearScale", "log": "LogScale"}[scale] for scale in scales]


def test_panels_share_layers_and_the_legend_has_a_run_in_all_of_them(page, runs):
    plots = [*models(document(page), "Figure")]
    shared = plots[0]["x_range"]["id"]
    assert [plot["x_range"]["id"] for plot in plots] == [shared] * len(PANELS)
    items = [*models(document(page), "LegendItem")]
    assert [item["label"]["value"] for item in items] == ["SELU", "ReLU", "tanh"]
    # A line of theory, a band, bars and points each; two lines where some theory is of infinite
    # width.
    for item in items:
        assert len(item["renderers"]) >= 4 * len(PANELS)
    (hover, *others) = models(document(page), "HoverTool")
    assert len(others) == len(PANELS) - 1
    assert len(hover["renderers"]) == len(runs)


def test_equal_pages_have_equal_bytes(page, runs):
    assert page_of(runs) == page
    assert page_of(runs, style="dark") != page
    assert page_of(runs[:1]) != page


def test_deep_stacks_have_matplotlibs_axis_of_layers():
    run = snstat.propagate("tanh", depth=400, width=4, batch=4, trials=2)
    columns, *_ = columns_of(page_of([run]))
    # Linear to 1, with 1/(1 - 1/10) of a decade; then logarithmic.
    expected = [
        (layer if layer <= 1 else 1 + 0.9 * math.log10(layer)) / 0.9 for layer in columns["layer"]
    ]
    np.testing.assert_allclose(numbers(columns["x"]), expected, rtol=1e-12)


def test_runs_that_end_and_values_that_are_missing():
    run = snstat.propagate("relu", depth=400, width=8, batch=4, trials=2, weight_gain=20.0)
    page = page_of([run])
    columns = columns_of(page)[1]
    known = numbers(columns["estimate"])
    np.testing.assert_array_equal(known, run.variance.estimate[columns["layer"]])
    assert np.isnan(known).any()
    assert columns["shown"][-1] == "unknown"
    assert f"not finite from layer {run.first_nonfinite}" in page
    assert any(models(document(page), "VSpan"))


def test_theory_alone_is_drawn_where_gradients_were_not_measured():
    run = snstat.propagate("relu", depth=3, width=8, batch=4, trials=2)
    columns = columns_of(page_of([run]))[3]
    assert np.isnan(numbers(columns["estimate"])).all()
    np.testing.assert_array_equal(numbers(columns["y"]), numbers(columns["theory"]))


def test_bands_of_quantiles():
    kept = snstat.propagate("relu", depth=3, width=8, batch=4, trials=20, keep_trials=True)
    page = page_of([kept], band="quantile")
    assert "5 to 95 % of trials" in page
    low, high = (np.quantile(kept.mean.trials, share, axis=0) for share in (0.05, 0.95))
    areas = [
        dict(own["data"]["entries"])
        for own in models(document(page), "ColumnDataSource")
        if "y2" in dict(own["data"]["entries"])
    ]
    np.testing.assert_allclose(numbers(areas[0]["y1"]), low, rtol=1e-12)
    np.testing.assert_allclose(numbers(areas[0]["y2"]), high, rtol=1e-12)


def test_the_command_writes_a_page_with_its_words(tmp_path, capsys):
    path = tmp_path / "run.html"
    small = ["-a", "relu", "-d", "3", "-w", "8", "-b", "4", "-t", "2"]
    assert run_command(["plot", *small, "-o", str(path)]) == 0
    assert capsys.readouterr().err == f"snstat: wrote {path}: trajectory, html\n"
    reader = Reader(path.read_text(encoding="utf-8"))
    (words,) = [own["content"] for _, own in reader.elements if own.get("name") == "description"]
    assert words == "snstat plot --activation relu --depth 3 --width 8 --batch 4 --trials 2"
    assert reader.texts_of("title") == ["ReLU"]
    assert any("3 layers of 8" in text for text in reader.texts_of("p"))
    bare = tmp_path / "bare.html"
    assert run_command(["plot", *small, "--no-caption", "-o", str(bare)]) == 0
    assert "3 layers of 8" not in bare.read_text(encoding="utf-8")


def test_names_cannot_end_a_script(tmp_path):
    path, network = tmp_path / "run.html", tmp_path / "own.toml"
    network.write_text(
        'name = "</script><b>@layer"\n[input]\nchannels = 4\n'
        '[[layers]]\nkind = "dense"\nwidth = 4\n'
    )
    assert run_command(["plot", str(network), "-b", "4", "-t", "2", "-q", "-o", str(path)]) == 0
    page = path.read_text(encoding="utf-8")
    assert page.count("</script>") == 3
    assert {tag for tag, _ in Reader(page).elements} <= {
        *("html", "head", "meta", "title", "style", "body", "div", "p", "script")
    }
