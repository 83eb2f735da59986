"""The frontends of known libraries, each a `FrontendSpec` value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from edge_ser.frontend.spec import FrontendSpec

__all__ = [
    "CKTIM_STEREO",
    "FUNCTIONALS",
    "LIBROSA",
    "LIBROSA_08",
    "LOG_MEL",
    "PITCH",
    "PRESETS",
    "PYTHON_SPEECH_FEATURES",
    "TORCHAUDIO",
    "WAVEFORM",
]

LIBROSA = FrontendSpec()
"""`librosa.feature.mfcc(n_mfcc=39)` of librosa 0.9 and newer; 0.10 brought soxr_hq."""

LIBROSA_08 = replace(LIBROSA, pad_mode="reflect")
"""librosa 0.8 padded centred frames by reflection."""

LOG_MEL = replace(LIBROSA, kind="log_mel")
"""`librosa.power_to_db(librosa.feature.melspectrogram(...))`, 128 bands."""

PYTHON_SPEECH_FEATURES = FrontendSpec(
    rate=16_000,
    sample_scale=32_768.0,
    preemphasis=0.97,
    n_fft=512,
    win_length=400,
    hop_length=160,
    window="rectangular",
    window_align="start",
    centre=False,
    tail="pad",
    power_scale=1 / 512,
    n_mels=26,
    fmax=8_000.0,
    mel_scale="htk",
    mel_norm="none",
    mel_edges="fft_bins",
    log="natural",
    log_floor=2.220446049250313e-16,
    log_floor_mode="if_zero",
    top_db=None,
    n_mfcc=13,
    lifter=22,
    lifter_first=0,
    c0="log_energy",
    precision="float64",
)
"""`python_speech_features.mfcc` with its defaults, of 16-bit samples at 16 kHz."""

TORCHAUDIO = FrontendSpec(
    rate=16_000,
    n_fft=400,
    win_length=400,
    hop_length=200,
    pad_mode="reflect",
    fmax=8_000.0,
    mel_scale="htk",
    mel_norm="none",
    n_mfcc=40,
    layout="time_last",
)
"""`torchaudio.transforms.MFCC()` with its defaults."""

CKTIM_STEREO = FrontendSpec(
    rate=48_000,
    win_length=1102,
    hop_length=275,
    window="hamming",
    pad_mode="reflect",
    bands_rate=22_050,
    mel_scale="htk",
    mel_norm="none",
    layout="time_last",
    copies=2,
)
"""torchaudio's MFCC as the CkTIM study took it of augmented EMOVO: 48 kHz samples, of which it was
told that they have 22,050 Hz, and both channels' frames end to end; 96,000 samples give 700. A mono
clip stands for both channels."""

PITCH = FrontendSpec(
    kind="pitch", rate=16_000, n_fft=1024, win_length=800, hop_length=256, fmin=50.0, fmax=4_000.0
)
"""Pitch in semitones and voicing strength every 16 ms, after Boersma 1993; of no library."""

FUNCTIONALS = FrontendSpec(
    kind="functionals",
    rate=16_000,
    n_fft=1024,
    win_length=640,
    hop_length=256,
    n_mels=64,
    fmin=50.0,
    fmax=7_900.0,
    mel_scale="htk",
    mel_norm="none",
    log_floor=1e-12,
    top_db=60.0,
    n_mfcc=26,
)
"""Statistics of 64 bands, 26 cepstra, level and pitch over a clip: no longer frames; of no library.
Up to 7,900 Hz the pitch's inverse FFT is half as long as up to 8,000."""

WAVEFORM = FrontendSpec(kind="waveform", rate=16_000, normalise="zero_mean_unit_variance")
"""Raw samples as wav2vec 2.0 takes them; `normalise="none"` gives them untouched."""

PRESETS: Mapping[str, FrontendSpec] = MappingProxyType(
    {
        "cktim-stereo": CKTIM_STEREO,
        "functionals": FUNCTIONALS,
        "librosa": LIBROSA,
        "librosa-0.8": LIBROSA_08,
        "log-mel": LOG_MEL,
        "pitch": PITCH,
        "python_speech_features": PYTHON_SPEECH_FEATURES,
        "torchaudio": TORCHAUDIO,
        "waveform": WAVEFORM,
    }
)
