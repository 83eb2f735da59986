"""`verify --reference`: our features beside the real library's, on the user's own files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from math import inf, isnan, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Clip, fit, read_clip, resample
from edge_ser.errors import DependencyError, EdgeSerError
from edge_ser.frontend import PRESETS, Frontend, FrontendSpec
from edge_ser.verification.results import ReferenceReport, StageResult, Status

if TYPE_CHECKING:
    from edge_ser.card import InputSpec, ModelCard

__all__ = ["TOLERANCES", "compare_with_reference", "reference_library"]

Array = NDArray[Any]

TOLERANCES: Mapping[str, float] = {
    "resampled": 1e-6,
    "power": 1e-6,
    "mel": 1e-6,
    "log": 5e-3,
    "mfcc": 1e-3,
}
"""Samples; power and mel relative to the clip's own maximum; decibels; MFCC."""

UNITS: Mapping[str, str] = {
    "resampled": "of full scale",
    "power": "of the clip's maximum",
    "mel": "of the clip's maximum",
    "log": "in dB",
    "mfcc": "in MFCC units",
}
DECIBELS_PER_NEPER = 10 / log(10)
"""What ln of a power changes by 1 is this many decibels."""
OLDEST_LIBROSA = (0, 10)
WINDOWS_OF_SCIPY = {"hann": "hann", "hamming": "hamming", "rectangular": "boxcar"}

# Parameters that a library takes as an argument, or that both sides share or undo. With any others
# not as in its preset, the library does not compute the spec.
FREE_IN_BOTH = (
    *("kind", "rate", "resampler", "sample_scale", "n_fft", "win_length", "hop_length", "n_mels"),
    *("fmin", "fmax", "n_mfcc", "lifter", "normalise", "layout", "precision"),
)
FREE: Mapping[str, tuple[str, ...]] = {
    "librosa": (
        *("window", "centre", "pad_mode", "mel_scale", "mel_norm", "log_floor", "top_db"),
        "dct_norm",
    ),
    "python_speech_features": ("preemphasis", "c0"),
}


def reference_library(spec: FrontendSpec) -> str | None:
    """Which library computes exactly this spec: librosa, python_speech_features, or None.

    >>> reference_library(PRESETS["torchaudio"])
    'librosa'
    """
    if spec.kind == "waveform":
        return None
    for library, free in FREE.items():
        ours = {name: getattr(spec, name) for name in (*FREE_IN_BOTH, *free)}
        if library == "python_speech_features":
            ours["power_scale"] = 1 / spec.n_fft
        if spec == replace(PRESETS[library], **ours):
            return library
    return None


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
    module = _module(library)
    if library == "librosa":
        version = str(module.__version__)
        if tuple(map(int, version.split(".")[:2])) < OLDEST_LIBROSA:
            raise DependencyError(
                f"librosa {version} is installed, expected 0.10 or newer: "
                "pip install --upgrade 'edge-ser[reference]'"
            )
        return _Reference(spec, f"librosa {version}", _librosa, _librosa_resampled)
    return _Reference(spec, f"{library} {metadata.version(library)}", _python_speech_features)


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"{name} is needed to compare with it and cannot be imported ({error}): "
            "pip install 'edge-ser[reference]'"
        ) from error


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
        difference = _largest(values, expected[stage])
        if stage in ("power", "mel"):
            # Silence has no maximum of its own: what is computed of it counts as it is.
            difference /= float(expected[stage].max()) or 1.0
        if stage == "log" and spec.log == "natural":
            difference *= DECIBELS_PER_NEPER
        yield stage, difference


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


def _librosa_resampled(spec: FrontendSpec, clip: Clip) -> Array:
    librosa = _module("librosa")
    samples: Array = librosa.resample(
        clip.samples, orig_sr=clip.rate, target_sr=spec.rate, res_type=spec.resampler
    )
    return samples


def _librosa(spec: FrontendSpec, samples: Array) -> dict[str, Array]:
    librosa = _module("librosa")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bands without a bin, of clips shorter than the FFT
        spectrum = librosa.stft(
            samples,
            n_fft=spec.n_fft,
            hop_length=spec.hop_length,
            win_length=spec.win_length,
            window=WINDOWS_OF_SCIPY[spec.window],
            center=spec.centre,
            pad_mode=spec.pad_mode,
        )
        power = np.abs(spectrum) ** 2
        mel = librosa.feature.melspectrogram(
            S=power,
            sr=spec.rate,
            n_fft=spec.n_fft,
            n_mels=spec.n_mels,
            fmin=spec.fmin,
            fmax=spec.fmax,
            htk=spec.mel_scale == "htk",
            norm="slaney" if spec.mel_norm == "slaney" else None,
        )
    decibels = librosa.power_to_db(mel, ref=1.0, amin=spec.log_floor, top_db=spec.top_db)
    stages = {"power": power, "mel": mel, "log": decibels}
    if spec.kind == "mfcc":
        norm = "ortho" if spec.dct_norm == "ortho" else None
        stages["mfcc"] = librosa.feature.mfcc(
            S=decibels, n_mfcc=spec.n_mfcc, norm=norm, lifter=spec.lifter
        )
    return {stage: values.T for stage, values in stages.items()}


def _python_speech_features(spec: FrontendSpec, samples: Array) -> dict[str, Array]:
    library = _module("python_speech_features")
    seconds = {"winlen": spec.win_length / spec.rate, "winstep": spec.hop_length / spec.rate}
    bands = {
        "nfilt": spec.n_mels,
        "nfft": spec.n_fft,
        "lowfreq": spec.fmin,
        "highfreq": spec.fmax,
        "preemph": spec.preemphasis,
    }
    framed = library.sigproc.framesig(
        library.sigproc.preemphasis(samples, spec.preemphasis), spec.win_length, spec.hop_length
    )
    mel, _ = library.fbank(samples, spec.rate, **seconds, **bands)
    stages = {
        "power": library.sigproc.powspec(framed, spec.n_fft),
        "mel": mel,
        "log": np.log(mel),
    }
    if spec.kind == "mfcc":
        stages["mfcc"] = library.mfcc(
            samples,
            spec.rate,
            numcep=spec.n_mfcc,
            ceplifter=spec.lifter,
            appendEnergy=spec.c0 == "log_energy",
            **seconds,
            **bands,
        )
    return stages


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
