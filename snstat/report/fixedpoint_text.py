"""Fixed points and theorems as CSV, in full precision, and as markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snstat.report.columns import Column
from snstat.report.fixedpoint import summary, theorem_columns, theorem_title, trajectory_columns
from snstat.report.fixedpoint_words import (
    correlation_words,
    gradient_words,
    heading,
    stability_words,
)
from snstat.report.numbers import exact
from snstat.report.text import csv_lines, escaped, markdown_table

if TYPE_CHECKING:
    from snstat.report.selection import LayerSelection
    from snstat.results import FixedPointReport, TheoremResult

# The column `row` gives the kind of a row. Columns that do not apply to it are empty.
CSV_COLUMNS = (
    "activation",
    "map",
    "weight_gain",
    "bias_std",
    "weight_sum",
    "weight_square_sum",
    "row",
    "fixed_point",
    "layer",
    "mean",
    "variance",
    "second_moment",
    "correlation",
    "slope",
    "stable",
    "depth_scale",
    "spectral_norm",
    "spectral_radius",
    "gradient_growth",
    "jacobian_mean_mean",
    "jacobian_mean_variance",
    "jacobian_variance_mean",
    "jacobian_variance_variance",
    "eigenvalue_1_real",
    "eigenvalue_1_imaginary",
    "eigenvalue_2_real",
    "eigenvalue_2_imaginary",
    "theorem_domain",
    "alpha",
    "lambda",
)
THEOREM_CSV_COLUMNS = (
    "theorem",
    "holds",
    "points",
    "quantity",
    "value",
    "mean",
    "weight_sum",
    "variance",
    "weight_square_sum",
)


def fixed_points_to_csv(reports: Sequence[FixedPointReport]) -> Iterator[str]:
    """Yield `reports` as lines of CSV, a header first.

    The column `row` says what a line holds: "map" (one for each report), "fixed_point",
    "correlation" (one for each fixed point of its correlation map) or "trajectory".
    """
    return csv_lines(
        row if isinstance(row, tuple) else [row.get(name) for name in CSV_COLUMNS]
        for row in _rows(reports)
    )


def fixed_points_to_markdown(
    reports: Sequence[FixedPointReport], layers: LayerSelection | None = None, depth: int = 64
) -> str:
    """Return `reports` as markdown; `layers` and `depth` as in `print_fixed_points`."""
    return "\n".join(_report_markdown(report, layers, depth) for report in reports)


def theorems_to_csv(results: Sequence[TheoremResult]) -> Iterator[str]:
    """Yield the extreme values of each theorem as lines of CSV, a header first."""
    rows: list[Sequence[object]] = [THEOREM_CSV_COLUMNS]
    for result in results:
        for quantity, (value, _) in result.extremes.items():
            where = result.place(quantity)
            place = [where.get(name) for name in THEOREM_CSV_COLUMNS[5:]]
            rows.append([result.name, result.holds, result.points, quantity, value, *place])
    return csv_lines(rows)


def theorems_to_markdown(results: Sequence[TheoremResult]) -> str:
    """Return the theorems as markdown, a heading and a table for each."""
    return "\n".join(
        f"### {escaped(theorem_title(result))}\n\n{escaped(result.claim)}\n\n"
        + markdown_table(theorem_columns(result))
        for result in results
    )


def _rows(reports: Sequence[FixedPointReport]) -> Iterator[tuple[str, ...] | dict[str, object]]:
    """Yield the header, then one mapping for each line."""
    yield CSV_COLUMNS
    for report in reports:
        base: dict[str, object] = {"activation": report.activation, "map": report.map}
        base |= report.parameters
        yield {
            **base,
            "row": "map",
            "theorem_domain": report.theorem_domain,
            **(report.solved or {}),
        }
        for number, point in enumerate(report.fixed_points, start=1):
            entry = {**base, "fixed_point": number}
            names = (*CSV_COLUMNS[9:12], *CSV_COLUMNS[14:19])
            values = {name: point[name] for name in names}
            jacobian = [value for row in point.jacobian for value in row]
            values |= dict(zip(CSV_COLUMNS[19:23], jacobian, strict=True))
            eigenvalues = [value for pair in point.eigenvalues for value in pair]
            values |= dict(zip(CSV_COLUMNS[23:27], eigenvalues, strict=True))
            yield {**entry, "row": "fixed_point", **values}
            for correlation in point.correlations:
                values = {name: correlation[name] for name in ("slope", "stable", "depth_scale")}
                yield {**entry, "row": "correlation", "correlation": correlation.value, **values}
        for layer, (mean, variance) in enumerate(report.trajectory or ()):
            yield {
                **base,
                "row": "trajectory",
                "layer": layer,
                "mean": mean,
                "variance": variance,
            }


def _report_markdown(report: FixedPointReport, layers: LayerSelection | None, depth: int) -> str:
    """Return one report: heading, sentences, and a table for each kind of row it has."""
    lines = list(summary(report))
    many = len(report.fixed_points) > 1
    for number, point in enumerate(report.fixed_points, start=1):
        name = f"Fixed point {number}" if many else "Fixed point"
        lines.append(
            f"{name}: {stability_words(point, continuum=report.continuum)}; "
            f"{gradient_words(point, depth)}."
        )
    text = f"### {escaped(heading(report))}\n\n" + "".join(f"- {escaped(line)}\n" for line in lines)
    tables = []
    if report.fixed_points:
        tables.append(_point_columns(report))
        if any(point.correlations for point in report.fixed_points):
            tables.append(_correlation_columns(report))
    if report.trajectory is not None:
        tables.append(trajectory_columns(report.trajectory, layers))
    return text + "".join("\n" + markdown_table(table) for table in tables)


def _point_columns(report: FixedPointReport) -> list[Column]:
    """Return a row for each fixed point."""
    points = report.fixed_points
    names = ("mean", "variance", "second_moment", "spectral_norm", "spectral_radius")
    columns = [
        Column(name.replace("_", " "), tuple(exact(point[name]) for point in points), name)
        for name in (*names, "gradient_growth")
    ]
    jacobians = tuple(
        "; ".join(", ".join(exact(value) for value in row) for row in point.jacobian)
        for point in points
    )
    return [*columns, Column("Jacobian", jacobians, "Jacobian")]


def _correlation_columns(report: FixedPointReport) -> list[Column]:
    """Return a row for each fixed point of each correlation map."""
    entries = [
        (str(number), entry)
        for number, point in enumerate(report.fixed_points, start=1)
        for entry in point.correlations
    ]
    return [
        Column("fixed point", tuple(number for number, _ in entries), "number"),
        Column("correlation", tuple(exact(entry.value) for _, entry in entries), "value"),
        Column("slope", tuple(exact(entry.slope) for _, entry in entries), "slope"),
        Column("", tuple(correlation_words(entry) for _, entry in entries), "words", words=True),
    ]
