"""Made-up sounds to augment, recordings of noise, and their levels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

RATE = 16_000
LENGTHS = st.integers(1, 3000)
SEEDS = st.integers(0, 2**32)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def speech(length: int, seed: int = 0, amplitude: float = 0.1) -> NDArray[np.float32]:
    return (amplitude * generator(seed).standard_normal(length)).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> NDArray[np.float32]:
    samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return samples.astype(np.float32)


def rms(samples: NDArray[Any]) -> float:
    return math.sqrt(np.square(samples, dtype=np.float64).mean())


@pytest.fixture(name="noises", scope="module")
def noises_fixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two recordings: a short one at another rate, and one that is silent at its start."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("noises")
    soundfile.write(folder / "short.wav", speech(400, 1), 8_000)
    long = np.concatenate([np.zeros(20_000, np.float32), speech(20_000, 2)])
    soundfile.write(folder / "long.wav", long, RATE)
    return str(folder)
