"""Makes the frontend's goldens: features of the test signal, by the libraries that define them.

    python tests/goldens/frontend/make_goldens.py

needs librosa, python_speech_features, torch and torchaudio; writes one .npz for each library and
versions.json beside this script. The samples come from `edge_ser.signals.test_signal`, nothing else
from edge_ser. torchaudio's MFCC is plain Python over torch: where only a CUDA build of its compiled
library is to be had, as when these were made, that library may be left out.

torchaudio is asked for float64, so that the goldens hold little of its rounding; the formula it
documents, written out below in float64, has to agree with it (3.6e-4: its tables are float32).
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import python_speech_features as psf
import torch
import torchaudio

from edge_ser.signals import test_signal

HERE = Path(__file__).parent
FRAMES = slice(0, 40, 8)
"""Frames whose whole power spectrum is kept."""


def of_librosa() -> dict[str, Any]:
    """Every stage of `librosa.feature.mfcc(n_mfcc=39)`, and the padding of librosa 0.8."""
    samples = test_signal(20_000, 22_050).astype(np.float32) / 32_768
    power = np.abs(librosa.stft(samples)) ** 2
    mel = librosa.feature.melspectrogram(y=samples, sr=22_050)
    return {
        "power": power.T[FRAMES],
        "mel": mel.T,
        "log": librosa.power_to_db(mel).T,
        "mfcc": librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=39).T,
        "reflect_mfcc": librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=39, pad_mode="reflect").T,
    }


def of_python_speech_features() -> dict[str, Any]:
    """Filter banks and MFCCs of 16-bit samples."""
    samples = test_signal(16_000, 16_000)
    return {"mel": psf.fbank(samples, 16_000)[0], "mfcc": psf.mfcc(samples, 16_000)}


def of_torchaudio() -> dict[str, Any]:
    """`torchaudio.transforms.MFCC()` in float64."""
    samples = torch.from_numpy(test_signal(16_000, 16_000) / 32_768)
    mfcc = torchaudio.transforms.MFCC().double()(samples).numpy()
    written_out = torchaudio_formula(samples)
    worst = float(np.abs(mfcc - written_out).max())
    if worst > 1e-3:
        sys.exit(f"torchaudio differs from its documented formula by {worst:.1e}")
    print(f"torchaudio agrees with its documented formula to {worst:.1e}")
    return {"mfcc": mfcc, "formula": written_out}


def torchaudio_formula(samples: torch.Tensor) -> np.ndarray:
    """What torchaudio documents for its defaults, in float64 throughout.

    n_fft 400, hop 200, periodic Hann window, centred with reflection; power; 128 triangles of unit
    height on HTK's mel scale from 0 to 8000 Hz; 10 log10 floored at 1e-10 and at 80 dB below the
    maximum; 40 coefficients of the orthonormal DCT-II.
    """
    window = torch.hann_window(400, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(samples, 400, 200, 400, window, pad_mode="reflect", return_complex=True)
    power = spectrum.abs().numpy() ** 2
    hertz = np.linspace(0, 8_000, 201)
    top = 2_595 * np.log10(1 + 8_000 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, 130) / 2_595) - 1)
    filters = np.empty((128, 201))
    for band in range(128):
        low, centre, high = corners[band : band + 3]
        rising = (hertz - low) / (centre - low)
        falling = (high - hertz) / (high - centre)
        filters[band] = np.clip(np.minimum(rising, falling), 0, None)
    decibels = 10 * np.log10(np.maximum(filters @ power, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    n, k = np.arange(128), np.arange(40)
    cosines = np.cos(np.pi / 128 * np.outer(k, n + 0.5)) * np.sqrt(2 / 128)
    cosines[0] /= np.sqrt(2)
    return cosines @ decibels


def main() -> None:
    """Write the files."""
    for name, arrays in (
        ("librosa", of_librosa()),
        ("python_speech_features", of_python_speech_features()),
        ("torchaudio", of_torchaudio()),
    ):
        np.savez_compressed(HERE / f"{name}.npz", **arrays)
    versions = {"python": sys.version.split()[0]}
    for name in ("numpy", "scipy", "librosa", "python_speech_features", "torch", "torchaudio"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = str(sys.modules[name].__version__)
    (HERE / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
