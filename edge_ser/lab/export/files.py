"""`export_model`: write a model file, read it again, compare it with the model, then keep it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard, ModelFile, read_model, write_model
from edge_ser.container import MAX_FILE_BYTES
from edge_ser.errors import DataError, ModelError, StorageError, UsageError
from edge_ser.lab.export.compare import (
    Comparison,
    compare,
    refuse_another_model,
    refuse_poor_form,
    time_both,
)
from edge_ser.lab.export.completing import completed, not_run, opened
from edge_ser.lab.export.convert import convert, refuse_other_kind
from edge_ser.lab.export.forms import ADVICE, FORMS, Candidate, Form, kind_of_name
from edge_ser.lab.export.reference import FRAMEWORKS, Blocks, Floats, Reference, Source
from edge_ser.runtime import open_model

__all__ = ["Exported", "Stages", "export_model"]

Stages = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and of how many."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and compared."""

    model: ModelFile
    comparison: Comparison
    framework: str
    """What it was compared with."""
    note: str = ""
    """How it was converted, where there was a choice."""


def export_model(
    model: Any,
    card: ModelCard,
    path: str | Path,
    form: Form = "float32",
    clips: Blocks = (),
    force: bool = False,
    told: Stages = lambda stage, done, of: None,
    labels: NDArray[np.int64] | None = None,
    calibration: Blocks | None = None,
) -> Exported:
    """Convert a model and write it with its card, proved to compute the same on clips.

    Args:
        model: a `keras.Model` with one output, a `torch.nn.Module` that takes (N, *features) and
            returns (N, labels), or a `Source`. A module's `embed(x)` becomes a second output; it
            gets a channel axis behind the batch where the card's layout has one, such as NCT.
        card: everything but names of outputs, dtype, goldens and hashes, which are set here.
        path: `.tflite` or `.onnx` file; replaced in one step, or left as it was.
        form: of the weights.
        clips: features of real clips, one array of shape (n, *block shape) a frontend block.
        force: keep a quantised file that is slower than float32 or not half as large.
        told: of progress.
        labels: what is right for each clip, as indices of the card's labels, shape (n,): a
            smaller form is then judged by the recall that it loses.
        calibration: other clips than those that are compared, to calibrate int8 with; None for
            the same.

    Raises:
        ModelError: the graph cannot be converted or run, or the file is not the model: float32
            beyond 1e-4 of a probability, other forms more than 1 % of labels or, with `labels`,
            1 point of unweighted average recall. Or, without `force`,
            a quantised form is not worth having here.
        UsageError: a name that ends otherwise, or no such form.
        DataError: clips of another shape than the model takes, or none.
        DependencyError: a converter is not installed.
        StorageError: the file cannot be written.
    """
    path = Path(path)
    kind = kind_of_name(path)
    if form not in FORMS:
        raise UsageError(f"no form {form!r}, expected one of {', '.join(FORMS)}")
    reference = source_of(model).bound(card)
    refuse_other_kind(reference, kind)
    _check_clips(card, clips)
    told(f"running {FRAMEWORKS[reference.framework]}", 0, 1)
    wanted = reference.scores(clips)
    told("converting", 0, 1)
    plain, made = convert(reference, kind, form, clips, calibration or clips)
    judge = _Judge(plain, reference, card, form, clips, wanted, labels)
    kept: list[Exported] = []
    refused: list[tuple[Candidate, ModelError]] = []
    with _folder_beside(path) as folder:
        for number, candidate in enumerate(made):
            part = folder / f"{number}{path.suffix}"
            try:
                done = _written(part, candidate, judge, told)
                if not force:
                    refuse_poor_form(done.comparison, form)
                kept.append(done)
            except ModelError as error:
                refused.append((candidate, error))
        if not kept:
            raise _joined(refused, form)
        best = min(kept, key=_cost)
        os.replace(best.model.path, path)
    return dataclasses.replace(best, model=read_model(path))


def source_of(model: Any) -> Source:
    """The source that a model object is.

    Raises:
        UsageError: it is neither a Keras model nor a Torch module.
    """
    if isinstance(model, Source):
        return model
    # By name: neither framework is imported for the other's sake.
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(model).__mro__}
    if "keras.Model" in kinds:
        from edge_ser.lab.export.tensorflow_files import keras_source

        return keras_source(model)
    if "torch.Module" in kinds:
        from edge_ser.lab.export.torch_files import module_source

        return module_source(model)
    raise UsageError(
        f"a {type(model).__name__} was given, expected a keras.Model or a torch.nn.Module; other "
        "models are exported from their files"
    )


def _check_clips(card: ModelCard, clips: Blocks) -> None:
    made = [spec.shape(card.input.clip_samples) for spec in card.frontend]
    if [block.shape[1:] for block in clips] != made:
        raise DataError(
            f"clips of shapes {[block.shape for block in clips]}, expected (n, *shape) with shapes "
            f"{made}: give the features of real clips"
        )
    if not all(len(block) for block in clips):
        raise DataError("no clips, expected the features of at least one: give real clips")


@dataclass(frozen=True)
class _Judge:
    """What every candidate is compared with."""

    plain: Candidate
    """The float32 graph."""
    reference: Reference
    card: ModelCard
    form: Form
    clips: Blocks
    wanted: Floats
    """The framework's scores."""
    labels: NDArray[np.int64] | None


def _written(part: Path, candidate: Candidate, by: _Judge, told: Stages) -> Exported:
    """Write a candidate, read it again, and compare."""
    framework, form = FRAMEWORKS[by.reference.framework], by.form
    card = completed(by.card, opened(candidate, form), by.reference, form)
    write_model(part, candidate.payload, card)
    model = read_model(part)
    interpreter = open_model(model.payload)

    def done(number: int, of: int) -> None:
        told("comparing", number, of)

    try:
        compared = compare(interpreter, card, by.clips, by.wanted, by.labels, done)
    except ModelError as error:
        raise not_run(error, form) from error
    refuse_another_model(compared, form, framework)
    if form != "float32":
        told("timing", 0, 1)
        plain = by.plain.payload
        speed = None
        if len(plain) <= MAX_FILE_BYTES:
            speed = time_both(interpreter, open_model(plain), by.clips)
        share = len(candidate.payload) / len(plain)
        compared = dataclasses.replace(compared, share=share, speed=speed)
        write_model(part, candidate.payload, _told_of(card, form, compared))
        model = read_model(part)
    return Exported(model, compared, framework, candidate.note)


def _told_of(card: ModelCard, form: Form, found: Comparison) -> ModelCard:
    """The card, which has the figures of the float32 network, with what this form changes."""
    lost = "" if found.lost is None else f" and loses {100 * found.lost:z.1f} points of UAR"
    text = (
        f"{card.provenance.protocol} All figures are of the float32 network; this {form} file "
        f"changes {found.changed} of {found.clips} labels{lost}."
    )
    provenance = dataclasses.replace(card.provenance, protocol=text.strip())
    return dataclasses.replace(card, provenance=provenance)


def _joined(refused: Sequence[tuple[Candidate, ModelError]], form: Form) -> ModelError:
    """Why none of the candidates was kept."""
    if len(refused) == 1:
        return refused[0][1]
    reasons = [
        f"{candidate.note}: {str(error).partition(', expected')[0].partition(';')[0]}"
        for candidate, error in refused
    ]
    # dynamic was one of the ways to int8, so it is no advice.
    advice = ADVICE["dynamic" if form == "int8" else form]
    return ModelError(f"no way to {form} holds ({'; '.join(reasons)}); {advice}")


def _cost(exported: Exported) -> float:
    speed = exported.comparison.speed
    return exported.comparison.share if speed is None else speed.ratio


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder on the same disk for what may not stay; gone afterwards, whatever happens.

    Raises:
        StorageError: something cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            yield Path(folder)
    except StorageError as error:
        reason = str(error).partition(": ")[2]
        raise StorageError(f"{path}: {reason}") from error
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}; choose a file that can be written"
        ) from error
