"""`verify --reference`: our features beside the real library's, on the user's own files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from math import inf, isnan, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Clip, fit, read_clip, resample
from edge_ser.errors import DependencyError, EdgeSerError
from edge_ser.frontend import Frontend, FrontendSpec, maths
from edge_ser.verification.libraries import (
    imported,
    librosa_resampled,
    librosa_stages,
    python_speech_features_stages,
    reference_library,
)
from edge_ser.verification.results import ReferenceReport, StageResult, Status

if TYPE_CHECKING:
    from edge_ser.card import InputSpec, ModelCard

__all__ = ["TOLERANCES", "compare_with_reference"]

Array = NDArray[Any]

TOLERANCES: Mapping[str, float] = {
    "resampled": 1e-6,
    "power": 1e-6,
    "mel": 1e-6,
    "log": 5e-3,
    "mfcc": 1e-3,
}
"""Samples; power and mel relative to the clip's own maximum; decibels; orthonormal MFCC."""

UNITS: Mapping[str, str] = {
    "resampled": "of full scale",
    "power": "of the clip's maximum",
    "mel": "of the clip's maximum",
    "log": "in dB",
    "mfcc": "in plain orthonormal MFCC",
}
OLDEST_LIBROSA = (0, 10)
DECIBELS_PER_NEPER = 10 / log(10)
"""What ln of a power changes by 1 is this many decibels."""


def compare_with_reference(card: ModelCard, paths: Iterable[str | Path]) -> ReferenceReport:
    """Compare every stage of the card's frontends on every file, from the decoded samples on.

    Both sides get the samples that we decoded, fitted to the model's clip after resampling; level
    and bandwidth conditioning, which no library has, is left out. Each side then goes its own way
    to the end, so that a stage's difference includes those of the stages before it.

    Raises:
        DependencyError: the library of a block is not installed, or too old.
    """
    references = [_reference(spec) for spec in card.frontend]
    worst: dict[tuple[int, str], tuple[float, str]] = {}
    failed: list[tuple[str, EdgeSerError]] = []
    files = 0
    for path in map(str, paths):
        try:
            clip = read_clip(path)
            differences = [
                ((block, stage), difference)
                for block, reference in enumerate(references)
                for stage, difference in _differences(reference, clip, card.input)
            ]
        except EdgeSerError as error:
            failed.append((path, error))
            continue
        files += 1
        for key, difference in differences:
            worst[key] = max(worst.get(key, (-1.0, "")), (difference, path))
    stages = tuple(
        _result(reference, stage, worst.get((block, stage)), _prefix(block, len(references)))
        for block, reference in enumerate(references)
        for stage in reference.stages
    )
    return ReferenceReport(stages, tuple(r.name for r in references), files, tuple(failed))


@dataclass(frozen=True)
class _Reference:
    """One block of the card and the library beside it."""

    spec: FrontendSpec
    name: str = ""
    compute: Callable[[FrontendSpec, Array], dict[str, Array]] | None = None
    """(spec, samples) -> stage -> (frames, values)."""
    resample: Callable[[FrontendSpec, Clip], Array] | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        if self.compute is None:
            return ("features",)
        first = ("resampled",) if self.resample else ()
        last = ("mfcc",) if self.spec.kind == "mfcc" else ()
        return (*first, "power", "mel", "log", *last)


def _reference(spec: FrontendSpec) -> _Reference:
    library = reference_library(spec)
    if library is None:
        return _Reference(spec)
    module = imported(library)
    if library == "librosa":
        version = str(module.__version__)
        if tuple(map(int, version.split(".")[:2])) < OLDEST_LIBROSA:
            raise DependencyError(
                f"librosa {version} is installed, expected 0.10 or newer: "
                "pip install --upgrade 'edge-ser[reference]'"
            )
        return _Reference(spec, f"librosa {version}", librosa_stages, librosa_resampled)
    return _Reference(spec, f"{library} {metadata.version(library)}", python_speech_features_stages)


def _differences(
    reference: _Reference, clip: Clip, wanted: InputSpec
) -> Iterator[tuple[str, float]]:
    """Largest difference of each stage on one clip."""
    spec = reference.spec
    if reference.compute is None:
        return
    ours = theirs = resample(clip, spec.rate, spec.resampler).samples
    if reference.resample is not None and clip.rate != spec.rate:
        theirs = reference.resample(spec, clip)
        yield "resampled", _largest(ours, theirs)
    ours, theirs = (fit(x, wanted.clip_samples, wanted.pad_side) for x in (ours, theirs))
    expected = reference.compute(spec, theirs.astype(spec.precision) * spec.sample_scale)
    for stage, values in _ours(spec, ours):
        gain = _mfcc_gain(spec) if stage == "mfcc" else 1.0
        difference = _largest(values / gain, expected[stage] / gain)
        if stage in ("power", "mel"):
            # Silence has no maximum of its own: what is computed of it counts as it is.
            difference /= float(expected[stage].max()) or 1.0
        if stage == "log" and spec.log == "natural":
            difference *= DECIBELS_PER_NEPER
        yield stage, difference


def _mfcc_gain(spec: FrontendSpec) -> Array:
    """What DCT norm and lifter make of each coefficient; tolerances are of plain, ortho ones."""
    weights = maths.lifter_weights(spec.n_mfcc, spec.lifter, spec.lifter_first)
    gain: Array = np.maximum(np.abs(weights), 1.0)
    return gain if spec.dct_norm == "ortho" else gain * np.sqrt(2 * spec.n_mels)


def _largest(ours: Array, theirs: Array) -> float:
    """Largest absolute difference; infinite where shapes differ or a value is not a number."""
    if ours.shape != theirs.shape:
        return inf
    difference = float(np.abs(ours.astype(np.float64) - theirs).max())
    return inf if isnan(difference) else difference


def _ours(spec: FrontendSpec, samples: Array) -> Iterator[tuple[str, Array]]:
    """Our stages, (frames, values), the last one by the whole chain at once as models get it."""
    frontend = Frontend(replace(spec, layout="time_first", normalise="none"))
    power = frontend.power(samples)
    mel = frontend.mel(power)
    yield "power", power
    yield "mel", mel
    yield "log", frontend.log(mel)
    if spec.kind == "mfcc":
        yield "mfcc", frontend(samples)


def _prefix(block: int, blocks: int) -> str:
    return f"block {block + 1} " if blocks > 1 else ""


def _result(
    reference: _Reference, stage: str, worst: tuple[float, str] | None, prefix: str
) -> StageResult:
    if reference.compute is None:
        detail = "no reference library computes this frontend: nothing to compare with"
        return StageResult(prefix + stage, "not run", detail=detail)
    tolerance = TOLERANCES[stage]
    if worst is None:
        detail = f"no file needed resampling to {reference.spec.rate} Hz"
        if stage != "resampled":
            detail = "no file could be read"
        return StageResult(prefix + stage, "not run", tolerance=tolerance, detail=detail)
    difference, path = worst
    status: Status = "ok" if difference <= tolerance else "failed"
    detail = f"{reference.name}, {UNITS[stage]}; worst in {path}"
    return StageResult(prefix + stage, status, difference, tolerance, detail)
