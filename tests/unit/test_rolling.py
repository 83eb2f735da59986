"""The rolling frontend beside the offline one on the same samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.audio import fit, level_gain, read_clip, resample
from edge_ser.errors import AudioError, CardError, UsageError
from edge_ser.frontend import PRESETS, Frontend, FrontendSpec, RollingFrontend

TOLERANCE = 1e-4
LAST_BIT = 2e-7
"""Of a float32, relative: c0 may be -900."""
PLB_CLIP = 100_000
PLB_HOP = 43 * 512
STREAM = 40_000
SIDES: tuple[Literal["both", "end"], ...] = ("both", "end")


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.fixture
def transformed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of frames of every FFT."""
    counts: list[int] = []
    real = np.fft.rfft

    def rfft(frames: NDArray[Any], *arguments: Any) -> NDArray[Any]:
        counts.append(len(frames))
        return real(frames, *arguments)

    monkeypatch.setattr(np.fft, "rfft", rfft)
    return counts


@pytest.mark.parametrize("name", sorted(PRESETS))
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "preemphasis": st.just(0.97),
            "pad_mode": st.sampled_from(("constant", "reflect")),
            "centre": st.booleans(),
            "tail": st.sampled_from(("drop", "pad")),
            "win_length": st.just(300),
            "window_align": st.sampled_from(("centre", "start")),
            "log_floor_mode": st.sampled_from(("maximum", "if_zero", "add")),
            "normalise": st.sampled_from(("none", "zero_mean_unit_variance")),
        },
    ),
    clip=st.integers(4_000, 9_000),
    window=st.integers(1_500, 12_000),
    side=st.sampled_from(SIDES),
    visits=st.lists(
        st.one_of(
            st.tuples(st.just("hops"), st.integers(-3, 20)),
            st.tuples(st.just("samples"), st.integers(-500, 3_000)),
            st.tuples(st.just("reset"), st.just(0)),
        ),
        min_size=2,
        max_size=5,
    ),
    gains=st.lists(st.sampled_from((1.0, 0.25, 0.7, 3.3)), min_size=5, max_size=5),
)
@settings(max_examples=16)
def test_it_equals_the_offline_features_wherever_the_windows_lie(
    name: str,
    changes: dict[str, Any],
    clip: int,
    window: int,
    side: Literal["both", "end"],
    visits: list[tuple[str, int]],
    gains: list[float],
) -> None:
    if name in ("pitch", "functionals"):  # whose window holds two periods
        changes.pop("win_length", None)
    if name == "functionals":
        changes.pop("normalise", None)
    spec = replace(PRESETS[name], **changes)
    if spec.centre and spec.pad_mode == "reflect" and spec.n_fft // 2 >= clip:
        return
    frontend = Frontend(spec)
    rolling = RollingFrontend(frontend, clip, window, side)
    stream, start = noise(STREAM), 0
    for (kind, step), gain in zip(visits, gains, strict=False):
        if kind == "reset":  # another stream at the same positions
            rolling.reset()
            stream = noise(STREAM, seed=int(stream[0] * 1e6) & 0xFFFF)
        start += step * (spec.hop_length if kind == "hops" else 1)
        start = min(max(start, 0), STREAM - window)
        part = stream[start : start + window]
        # As in a run that begins in the middle of a stream, positions may be negative.
        found = rolling(part, start - 20_000, gain)
        expected = frontend(fit(part * np.float32(gain), clip, side))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=LAST_BIT, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("spec", "clip", "window", "side"),
    [
        # The first frame of padding holds the pre-emphasis of the last sample, at full weight.
        (PRESETS["python_speech_features"], 60 * 160, 20 * 160, "end"),
        # Frames that lie in the mirrored signal alone.
        (
            replace(PRESETS["librosa-0.8"], win_length=300, window_align="start"),
            20 * 512,
            19 * 512,
            "both",
        ),
        # A total power that is used, in frames that are kept, with a gain.
        (replace(PRESETS["torchaudio"], c0="log_energy"), 16_000, 16_000, "both"),
    ],
)
def test_corners(spec: FrontendSpec, clip: int, window: int, side: Literal["both", "end"]) -> None:
    frontend = Frontend(spec)
    rolling = RollingFrontend(frontend, clip, window, side)
    stream = noise(window + 9 * spec.hop_length)
    for start in (0, 2 * spec.hop_length, 9 * spec.hop_length):
        part = stream[start : start + window]
        expected = frontend(fit(part * np.float32(0.25), clip, side))
        found = rolling(part, start, 0.25)
        np.testing.assert_allclose(found, expected, rtol=LAST_BIT, atol=TOLERANCE)


def test_a_new_window_of_plb_transforms_the_new_frames_and_four_edge_frames(
    transformed: list[int],
) -> None:
    rolling = RollingFrontend(Frontend(PRESETS["librosa"]), PLB_CLIP, PLB_CLIP)
    stream = noise(PLB_CLIP + 6 * PLB_HOP)
    counts = []
    for hop in (0, 1, 2, 4, 4, 3):
        transformed.clear()
        rolling(stream[hop * PLB_HOP :][:PLB_CLIP], hop * PLB_HOP)
        counts.append(sum(transformed))
    assert counts == [196, 43 + 4, 43 + 4, 2 * 43 + 4, 4, 43 + 4]


def test_other_positions_and_a_reset_are_computed_whole(transformed: list[int]) -> None:
    rolling = RollingFrontend(Frontend(PRESETS["librosa"]), PLB_CLIP, PLB_CLIP)
    window = noise(PLB_CLIP)
    rolling(window, 0)
    for start in (PLB_HOP + 1, PLB_HOP + 1 + 192 * 512, -5 * PLB_CLIP):
        transformed.clear()
        rolling(window, start)
        assert sum(transformed) == 196
    rolling.reset()
    transformed.clear()
    rolling(window, -5 * PLB_CLIP)
    assert sum(transformed) == 196


def test_a_gain_is_that_of_the_samples_as_offline(transformed: list[int]) -> None:
    frontend = Frontend(PRESETS["librosa"])
    rolling = RollingFrontend(frontend, PLB_CLIP, PLB_CLIP)
    stream = noise(PLB_CLIP + 4 * PLB_HOP)
    counts = []
    for hop, gain in enumerate((1.0, 0.7, 0.7, 3.3, 1.0)):
        window = stream[hop * PLB_HOP :][:PLB_CLIP]
        transformed.clear()
        found = rolling(window, hop * PLB_HOP, gain)
        counts.append(sum(transformed))
        expected = frontend(window * np.float32(gain))
        np.testing.assert_allclose(found, expected, rtol=LAST_BIT, atol=TOLERANCE)
    assert counts == [196, 196, 43 + 4, 196, 196]


def test_padding_is_never_transformed(transformed: list[int]) -> None:
    rolling = RollingFrontend(Frontend(PRESETS["librosa"]), PLB_CLIP, 44_032)
    stream = noise(44_032 + PLB_HOP)
    rolling(stream[:44_032], 0)
    transformed.clear()
    rolling(stream[PLB_HOP:], PLB_HOP)
    # 43 new, and at each end of the window the four that hold some of it and some padding.
    assert sum(transformed) == 43 + 2 * 4


def test_the_silence_before_a_stream_is_part_of_it() -> None:
    frontend = Frontend(PRESETS["librosa"])
    rolling = RollingFrontend(frontend, PLB_CLIP, PLB_CLIP)
    stream = np.concatenate([np.zeros(PLB_CLIP, np.float32), noise(3 * PLB_HOP)])
    for hop in (1, 2, 3):
        window = stream[hop * PLB_HOP :][:PLB_CLIP]
        np.testing.assert_allclose(
            rolling(window, hop * PLB_HOP - PLB_CLIP),
            frontend(window),
            rtol=LAST_BIT,
            atol=TOLERANCE,
        )


def test_a_window_that_fails_leaves_nothing_behind() -> None:
    frontend = Frontend(PRESETS["librosa"])
    rolling = RollingFrontend(frontend, PLB_CLIP, PLB_CLIP)
    stream = noise(PLB_CLIP + 2 * PLB_HOP)
    rolling(stream[:PLB_CLIP], 0)
    broken = stream[PLB_HOP:][:PLB_CLIP].copy()
    broken[-1] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        rolling(broken, PLB_HOP)
    window = stream[2 * PLB_HOP :][:PLB_CLIP]
    np.testing.assert_allclose(
        rolling(window, 2 * PLB_HOP), frontend(window), rtol=LAST_BIT, atol=TOLERANCE
    )


def test_features_that_were_given_out_do_not_change() -> None:
    rolling = RollingFrontend(Frontend(PRESETS["librosa"]), PLB_CLIP, PLB_CLIP)
    stream = noise(PLB_CLIP + PLB_HOP)
    first = rolling(stream[:PLB_CLIP], 0)
    kept = first.copy()
    rolling(stream[PLB_HOP:], PLB_HOP)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(("clip", "window"), [(0, 100), (100, 0), (-1, -1)])
def test_lengths_below_one_are_refused(clip: int, window: int) -> None:
    with pytest.raises(UsageError, match="at least 1 of each"):
        RollingFrontend(Frontend(PRESETS["librosa"]), clip, window)


def test_a_clip_beyond_the_bound_of_features_is_refused() -> None:
    with pytest.raises(CardError, match="more than 8388608 values"):
        RollingFrontend(Frontend(PRESETS["librosa"]), 1 << 30, 1_000)


def test_a_window_of_another_length_is_refused() -> None:
    rolling = RollingFrontend(Frontend(PRESETS["librosa"]), PLB_CLIP, 50_000)
    with pytest.raises(UsageError, match=r"shape \(49999,\), expected \(50000,\)"):
        rolling(noise(49_999), 0)


def test_a_clip_too_short_for_a_frame_is_refused_as_offline() -> None:
    rolling = RollingFrontend(Frontend(replace(PRESETS["librosa"], centre=False)), 500, 500)
    with pytest.raises(AudioError, match="too few for one frame"):
        rolling(noise(500), 0)


@pytest.mark.needs("emodb")
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_real_speech_brought_to_its_level(corpus: Callable[[str], Path], name: str) -> None:
    spec = PRESETS[name]
    files = sorted(corpus("emodb").glob("*.flac"))[::90]
    pause = np.zeros(spec.rate, np.float32)
    clips = [resample(read_clip(path), spec.rate).samples for path in files]
    stream = np.concatenate([part for clip in clips for part in (clip, pause)])
    window, hop = 4 * spec.rate, spec.rate // spec.hop_length * spec.hop_length
    frontend = Frontend(spec)
    plain, levelled = (RollingFrontend(frontend, window + 9_999, window) for _ in range(2))
    for start in range(0, len(stream) - window, hop):
        part = stream[start : start + window]
        gain = 10 ** (level_gain(part, -26.0) / 20)
        expected = frontend(fit(part, window + 9_999))
        np.testing.assert_allclose(plain(part, start), expected, rtol=LAST_BIT, atol=TOLERANCE)
        expected = frontend(fit(part * np.float32(gain), window + 9_999))
        np.testing.assert_allclose(
            levelled(part, start, gain), expected, rtol=LAST_BIT, atol=TOLERANCE
        )
