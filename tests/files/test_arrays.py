"""Data given in Python: which are read, and which remedy the errors of others recommend."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import snstat
from snstat.errors import InputFileError, InvalidValueError, SnstatError, UnknownNameError
from snstat.files.arrays import as_array
from snstat.network.run_settings import RunSettings

ROWS = np.random.default_rng(0).standard_normal((6, 4))


def seen(inputs: Any) -> Any:
    """Return the mean of layer 0 of a run with `inputs`: values of about 1, rounded to float32."""
    run = snstat.propagate("selu", 1, width=4, trials=2, inputs=inputs)
    return run.mean.estimate[0]


def complaint(inputs: Any) -> str:
    with pytest.raises(SnstatError) as caught:
        snstat.propagate("selu", 1, width=4, trials=2, inputs=inputs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_masked_values_are_refused_with_a_remedy() -> None:
    masked = np.ma.masked_array(ROWS, mask=np.zeros_like(ROWS, dtype=bool))
    assert seen(masked) == pytest.approx(ROWS.mean(), abs=1e-7)
    masked[2, 1] = np.ma.masked
    text = complaint(masked)
    assert "masked in 1 of 24 values" in text
    # The remedies work as written.
    assert seen(masked.filled(0)) == pytest.approx(np.where(masked.mask, 0, ROWS).mean(), abs=1e-7)
    assert "inputs.filled(0)" in text
    rows = np.ma.compress_rows(masked)
    assert "numpy.ma.compress_rows(inputs)" in text
    assert seen(rows) == pytest.approx(np.delete(ROWS, 2, axis=0).mean(), abs=1e-7)


def test_masked_values_within_lists_are_refused() -> None:
    masked = np.ma.masked_array(ROWS, mask=np.zeros_like(ROWS, dtype=bool))
    assert seen(list(masked)) == pytest.approx(ROWS.mean(), abs=1e-7)
    masked[2, 1] = np.ma.masked
    lists = [list(masked), tuple(masked), [list(row) for row in masked]]
    for inputs in lists:
        assert "masked in 1 of" in complaint(inputs)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([[1.0, 2.0], [3.0]], "row 0 has 2 values, row 1 has 1 values"),
        ([[1.0, 2.0], 3.0], "row 1 is not a list"),
        ([[1.0, None]], ".astype(float)"),
        ([["a", "b"]], ".astype(float)"),
        (ROWS.astype(complex), "real part"),
        (ROWS.astype(object), "Python objects (object)"),
        (np.zeros(3, dtype=[("a", "f4"), ("b", "f4")]), "structured_to_unstructured"),
        (np.zeros((2, 2), dtype="M8[D]"), "dates"),
        (np.zeros((2, 2), dtype="m8[s]"), "time spans"),
        (np.zeros((2, 2), dtype="V2"), "raw bytes"),
        (SimpleNamespace(toarray=None), "inputs.toarray()"),
        ({1: 2}, "Python objects"),
        ([None], "Python objects"),
    ],
)
def test_errors_of_unreadable_data_state_a_remedy(inputs: Any, words: str) -> None:
    assert words in complaint(inputs)


def test_objects_that_cannot_be_converted_give_one_line() -> None:
    class Refusing:
        def __array__(self, *_arguments: Any, **_options: Any) -> Any:
            raise RuntimeError("not now")

    assert "numpy cannot read (RuntimeError)" in complaint(Refusing())


class Tensor:
    """A stand-in for a PyTorch tensor, some of whose types numpy does not have."""

    layout = "torch.strided"

    def __init__(self, values: Any, dtype: str = "float32", *, broken: bool = False) -> None:
        self.values, self.dtype, self.broken = values, dtype, broken

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def is_complex(self) -> bool:
        return self.dtype == "complex32"

    def dequantize(self) -> Tensor:
        return Tensor(np.asarray(self.values) * 0.5)

    def cfloat(self) -> Any:
        return Tensor(self.values, "complex64")

    def float(self) -> Tensor:
        return Tensor(self.values, broken=self.broken)

    def numpy(self, *, force: bool) -> Any:
        assert force
        if self.broken:
            raise RuntimeError
        if self.dtype not in {"float32", "complex64"}:
            raise TypeError
        return np.asarray(self.values, self.dtype)


def test_tensors_are_detached_and_widened() -> None:
    for dtype in ("float32", "bfloat16"):
        assert seen(Tensor(ROWS, dtype)) == pytest.approx(ROWS.mean(), abs=1e-7)
    assert "a tensor of bfloat16" in complaint(Tensor(ROWS, "bfloat16", broken=True))
    assert seen([Tensor(row) for row in ROWS]) == pytest.approx(ROWS.mean(), abs=1e-7)
    assert "unequal lengths" in complaint([Tensor(ROWS[0]), Tensor(ROWS[1, :2])])


def test_tensors_that_hold_no_plain_numbers_get_their_own_remedy() -> None:
    quantised = Tensor(ROWS, "qint8")
    quantised.is_quantized = True  # type: ignore[attr-defined]  # as PyTorch's are
    assert seen(quantised) == pytest.approx(0.5 * ROWS.mean(), abs=1e-7)
    # numpy has no complex numbers of 2 × 16 bits, and their real part alone is something else.
    assert "take the real part" in complaint(Tensor(ROWS, "complex32"))
    for attribute, remedy in (("is_meta", "that holds numbers"), ("is_nested", "to_padded_tensor")):
        odd = Tensor(ROWS)
        setattr(odd, attribute, True)
        for inputs in (odd, [odd]):
            assert remedy in complaint(inputs)
            assert ".float()" not in complaint(inputs)


class TorchType:
    """A stand-in for `torch.float32`."""

    __module__ = "torch"

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


def test_dtypes_of_other_libraries_and_short_names() -> None:
    names = {"float32": ("f4", "f", "single", np.float32), "float64": ("F8", "d", "double", float)}
    for name, others in names.items():
        native = np.dtype(name)
        swapped = native.newbyteorder()
        for dtype in (TorchType(name), native, native.str, f"={native.str[1:]}", *others):
            assert RunSettings(dtype=dtype).dtype == name
        for dtype in (swapped, swapped.str):
            with pytest.raises(UnknownNameError, match=r"must be one of float32, float64$"):
                RunSettings(dtype=dtype)
    others = "f2", "g", "half", "=f2", "|f4", "f4,f4", "float128"
    for dtype in (TorchType("float16"), TorchType("int32"), *others, dict, np.dtype("O"), 4):
        with pytest.raises(UnknownNameError, match="must be one of float32, float64") as caught:
            RunSettings(dtype=dtype)
        # Only names are suggested, not codes.
        assert set(caught.value.suggestions) <= {"float32", "float64"}


def test_trials_are_kept_by_a_word_or_by_another_argument() -> None:
    options = {"depth": 3, "width": 8, "batch": 4, "seed": 5}
    run = snstat.propagate("tanh", trials="keep", **options)
    assert run.simulation.trials == 8  # as without
    values = run.variance.trials
    assert values is not None
    assert values.shape == (8, 4)
    assert run.variance.estimate == pytest.approx(values.mean(axis=0), rel=1e-12)
    assert run == snstat.propagate("tanh", keep_trials=True, **options)
    # A check keeps nothing.
    with pytest.raises(InvalidValueError, match=r"trials is 'keep'.*; keep_trials=True keeps"):
        snstat.check(trials="keep")


def test_dtypes_of_the_simulation_are_names_or_types() -> None:
    for dtype in ("float64", np.float64, np.dtype("float64"), "FLOAT64"):
        assert snstat.propagate("selu", 1, width=4, trials=2, dtype=dtype).simulation.dtype == (
            "float64"
        )
    for bad in (np.dtype("float16"), int, 3, None, object()):
        with pytest.raises(InvalidValueError):
            snstat.propagate("selu", 1, width=4, trials=2, dtype=bad)  # type: ignore[arg-type]


def test_an_array_of_an_archive_is_selected_by_name(tmp_path: Any) -> None:
    path = tmp_path / "two.npz"
    np.savez(path, train=ROWS, test=2 * ROWS)
    for name, factor in (("train", 1), ("test", 2)):
        assert seen(f"{path}:{name}") == pytest.approx(factor * ROWS.mean(), abs=1e-7)
    assert f"{path}:train" in complaint(path)
    assert "did you mean 'train'" in complaint(f"{path}:tran")
    np.save(tmp_path / "one.npy", ROWS)
    assert "is not an .npz" in complaint(f"{tmp_path / 'one.npy'}:x")
    # A file of exactly that name takes precedence.
    (tmp_path / "one.npy").rename(f"{path}:test")
    assert seen(f"{path}:test") == pytest.approx(ROWS.mean(), abs=1e-7)
    with pytest.raises(InputFileError, match="no such file"):
        snstat.propagate("selu", 1, inputs=str(tmp_path / "none.npz:x"))


def test_plain_arrays_are_not_copied() -> None:
    assert as_array(ROWS) is ROWS
