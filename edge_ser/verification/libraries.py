"""The reference libraries: which computes a spec, and its stages, every parameter by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Clip
from edge_ser.errors import DependencyError
from edge_ser.frontend import PRESETS, FrontendSpec

__all__ = [
    "imported",
    "librosa_resampled",
    "librosa_stages",
    "python_speech_features_stages",
    "reference_library",
]

Array = NDArray[Any]

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
    if spec.kind in ("functionals", "pitch", "waveform"):
        return None
    for library, free in FREE.items():
        ours = {name: getattr(spec, name) for name in (*FREE_IN_BOTH, *free)}
        if library == "python_speech_features":
            ours["power_scale"] = 1 / spec.n_fft
        if spec == replace(PRESETS[library], **ours):
            return library
    return None


def imported(name: str) -> Any:
    """The library of that name.

    Raises:
        DependencyError: it is not installed, or something that it needs.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"{name} is needed to compare with it and cannot be imported ({error}): "
            "pip install 'edge-ser[reference]'"
        ) from error


def librosa_resampled(spec: FrontendSpec, clip: Clip) -> Array:
    """The clip at the spec's rate."""
    librosa = imported("librosa")
    samples: Array = librosa.resample(
        clip.samples, orig_sr=clip.rate, target_sr=spec.rate, res_type=spec.resampler
    )
    return samples


def librosa_stages(spec: FrontendSpec, samples: Array) -> dict[str, Array]:
    """Stage -> (frames, values) of scaled samples in the spec's precision."""
    librosa = imported("librosa")
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


def python_speech_features_stages(spec: FrontendSpec, samples: Array) -> dict[str, Array]:
    """Stage -> (frames, values) of scaled samples in the spec's precision."""
    library = imported("python_speech_features")
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
    power = library.sigproc.powspec(framed, spec.n_fft)
    filters = library.get_filterbanks(spec.n_mels, spec.n_fft, spec.rate, spec.fmin, spec.fmax)
    floored, _ = library.fbank(samples, spec.rate, **seconds, **bands)
    stages = {"power": power, "mel": power @ filters.T, "log": np.log(floored)}
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
