"""Functionals of real speech beside statistics by scipy of bands and cepstra by librosa."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_ser.audio import fit, read_clip, resample
from edge_ser.frontend import PRESETS, Frontend
from edge_ser.frontend.functionals import names

SPEC = PRESETS["functionals"]
CLIPS = 12


@pytest.mark.needs("librosa")
@pytest.mark.parametrize("name", ["emodb", "ravdess", "emovo"])
def test_bands_and_cepstra_are_those_of_librosa(name: str, corpus: Callable[[str], Path]) -> None:
    import librosa
    from scipy import stats

    frontend, order = Frontend(SPEC), names(SPEC)
    files = sorted([*corpus(name).rglob("*.flac"), *corpus(name).rglob("*.wav")])
    for path in files[:: len(files) // CLIPS]:
        samples = fit(resample(read_clip(path), SPEC.rate, SPEC.resampler).samples, 128_000)
        found = dict(zip(order, frontend(samples).tolist(), strict=True))
        power = librosa.feature.melspectrogram(
            y=samples,
            sr=SPEC.rate,
            n_fft=SPEC.n_fft,
            win_length=SPEC.win_length,
            hop_length=SPEC.hop_length,
            pad_mode="constant",
            n_mels=SPEC.n_mels,
            fmin=SPEC.fmin,
            fmax=SPEC.fmax,
            htk=True,
            norm=None,
        )
        level = librosa.power_to_db(power.sum(axis=0), amin=SPEC.log_floor, top_db=None)
        loud = np.flatnonzero(level >= level.max() - SPEC.active_db)
        log = librosa.power_to_db(power, amin=SPEC.log_floor, top_db=SPEC.top_db)
        bands = log[:, loud[0] : loud[-1] + 1].astype(np.float64)
        bands -= bands.mean()
        cepstra = librosa.feature.mfcc(S=bands, n_mfcc=SPEC.n_mfcc) / np.sqrt(SPEC.n_mels)
        of_bands = {f"band_{number}": track for number, track in enumerate(bands)}
        of_cepstra = {f"cepstrum_{number}": track for number, track in enumerate(cepstra)}
        for track, values in (of_bands | of_cepstra).items():
            expected = {
                "mean": values.mean(),
                "deviation": values.std(),
                "skewness": stats.skew(values),
                "kurtosis": min(20.0, stats.kurtosis(values, fisher=False)),
                **{f"q{q:02d}": np.quantile(values, q / 100) for q in (5, 25, 50, 75, 95)},
            }
            got = {statistic: found[f"{track}.{statistic}"] for statistic in expected}
            assert got == pytest.approx(expected, rel=1e-3, abs=5e-3), (path.name, track)
