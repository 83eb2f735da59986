"""Our features beside those of the libraries that define them, stage by stage, on real speech.

    python benchmarks/parity.py ~/corpora/emodb ~/corpora/ravdess --clips 100

prints for each corpus the worst difference of each stage over the clips, with its tolerance.
Needs the extra [reference].
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Clip, fit, read_clip, resample
from edge_ser.frontend import PRESETS, Frontend

Array = NDArray[Any]
Differences = Mapping[str, float]

CLIP_SAMPLES = 100_000

TOLERANCES = {
    "to 16000 Hz": 1e-6,
    "to 22050 Hz": 1e-6,
    "to 48000 Hz": 1e-6,
    "power": 1e-6,
    "mel": 1e-6,
    "log": 5e-3,
    "mfcc": 1e-3,
    "mfcc, whole chain": 1e-3,
    "reflect mfcc": 1e-3,
    "psf filter banks": 1e-6,
    "psf mfcc": 1e-3,
}
"""Power, mel and filter banks are relative to the clip's maximum; log is in dB."""


def clips_of(folder: Path, count: int) -> list[Path]:
    """At most `count` audio files below a folder, spread evenly over their sorted names."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".wav", ".flac"))
    step = max(1, len(paths) // count)
    return list(islice(paths[::step], count))


def librosa_differences(path: Path) -> Differences:
    """Each stage given librosa's result of the stage before, and the chain from file to MFCC."""
    import librosa

    spec = PRESETS["librosa"]
    frontend = _frontend("librosa")
    clip = read_clip(path)
    differences = {}
    for rate in (16_000, 48_000, spec.rate):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of aifc, in what librosa loads
            theirs, _ = librosa.load(path, sr=rate)
        ours = resample(clip, rate, spec.resampler).samples
        differences[f"to {rate} Hz"] = _worst(ours, theirs)
    samples = fit(theirs, CLIP_SAMPLES)
    spectrum = librosa.stft(samples)
    power = np.abs(spectrum) ** 2
    mel = librosa.feature.melspectrogram(y=samples, sr=spec.rate)
    log = librosa.power_to_db(mel)
    mfcc = librosa.feature.mfcc(y=samples, sr=spec.rate, n_mfcc=39)
    reflected = librosa.feature.mfcc(y=samples, sr=spec.rate, n_mfcc=39, pad_mode="reflect")
    return differences | {
        "power": _worst(frontend.power(samples), power.T) / power.max(),
        "mel": _worst(frontend.mel(power.T), mel.T) / mel.max(),
        "log": _worst(frontend.log(mel.T), log.T),
        "mfcc": _worst(frontend.cepstra(log.T), mfcc.T),
        "mfcc, whole chain": _worst(frontend(fit(ours, CLIP_SAMPLES)), mfcc.T),
        "reflect mfcc": _worst(_frontend("librosa-0.8")(samples), reflected.T),
    }


def psf_differences(path: Path) -> Differences:
    """python_speech_features at 16 kHz, which takes 16-bit integers as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import python_speech_features as psf

    frontend = _frontend("python_speech_features")
    rate = frontend.spec.rate
    at_rate: Clip = resample(read_clip(path), rate)
    integers = np.clip(np.round(at_rate.samples * 32_768), -32_768, 32_767).astype(np.int16)
    samples = integers.astype(np.float32) / 32_768
    banks, _ = psf.fbank(integers, rate)
    mfcc = psf.mfcc(integers, rate)
    return {
        "psf filter banks": _worst(frontend.mel(frontend.power(samples)), banks) / banks.max(),
        "psf mfcc": _worst(frontend(samples), mfcc),
    }


REFERENCES: Mapping[str, Callable[[Path], Differences]] = {
    "librosa": librosa_differences,
    "python_speech_features": psf_differences,
}


def worst_differences(paths: Iterable[Path], reference: str) -> Differences:
    """The largest difference of each stage over all clips."""
    worst: dict[str, float] = {}
    for path in paths:
        for stage, difference in REFERENCES[reference](path).items():
            worst[stage] = max(worst.get(stage, 0.0), difference)
    return worst


def table(name: str, clips: int, worst: Differences) -> Iterator[str]:
    """Lines of the table for one corpus."""
    for stage, difference in worst.items():
        mark = "" if difference <= TOLERANCES[stage] else "  FAILS"
        yield f"{name:<10} {clips:>4}  {stage:<18} {difference:8.1e}  {TOLERANCES[stage]:.0e}{mark}"


@cache
def _frontend(preset: str) -> Frontend:
    return Frontend(PRESETS[preset])


def _worst(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        raise AssertionError(f"shapes {ours.shape} and {theirs.shape} differ")
    return float(np.abs(ours.astype(np.float64) - theirs).max())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="corpora, WAV or FLAC")
    parser.add_argument("--clips", type=int, default=100, help="clips of each (default 100)")
    options = parser.parse_args()
    print(f"{'corpus':<10} clips  {'stage':<18} {'worst':<8}  tolerance")
    for folder in options.folders:
        paths = clips_of(folder, options.clips)
        for reference in REFERENCES:
            for line in table(folder.name, len(paths), worst_differences(paths, reference)):
                print(line)


if __name__ == "__main__":
    main()
