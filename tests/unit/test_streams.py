"""Streams made of utterances: seeded, with the truth about every one, a chunk at a time."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from edge_ser.benchmarks.streams import (
    Spoken,
    StreamOptions,
    blocks,
    chunks,
    day,
    load_noise,
    speech_span,
    spoken,
    whole,
)

from edge_ser.corpora import Utterance

RATE = 8000


@pytest.fixture
def clips(tmp_path: Path) -> list[Spoken]:
    """Three clips of 0.5 s, of which the middle 0.3 s sound, at different levels."""
    made = []
    for number, amplitude in enumerate((0.5, 0.1, 0.02)):
        samples = np.zeros(RATE // 2)
        samples[800:3200] = amplitude * np.sin(np.arange(2400))
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, samples, RATE, subtype="FLOAT")
        made.append(spoken(Utterance(path, "calm", str(number)), RATE))
    return made


def stream(
    clips: list[Spoken], options: StreamOptions, seed: int = 0
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Samples and spans of speech."""
    samples, truths = whole(chunks(clips, RATE, np.random.default_rng(seed), options))
    return samples, [(truth.start, truth.end) for truth in truths]


def test_speech_is_where_there_is_energy(clips: list[Spoken]) -> None:
    for clip in clips:
        assert np.abs(np.subtract(clip.span, (800, 3200))).max() <= 0.02 * RATE
    assert speech_span(np.ones(10, np.float32), RATE) == (0, 10)


def test_truths_are_where_the_clips_sound(clips: list[Spoken]) -> None:
    samples, spans = stream(clips, StreamOptions())
    sounding = np.flatnonzero(samples)
    for (start, end), clip in zip(spans, clips, strict=True):
        inside = sounding[(sounding >= start) & (sounding < end)]
        assert len(inside) >= 2390
        span = slice(start - clip.span[0], start - clip.span[0] + len(clip.samples))
        np.testing.assert_array_equal(samples[span], clip.samples)
    assert spans[0][0] >= 3 * RATE
    pauses = [right[0] - left[1] for left, right in pairwise(spans)]
    assert all(1.0 <= pause / RATE <= 3.3 for pause in pauses)


def test_levels_are_as_asked_for(clips: list[Spoken]) -> None:
    options = StreamOptions(level_dbfs=-20, snr_db=10)
    samples, spans = stream(clips, options)
    lead = samples[: 3 * RATE]
    assert 20 * np.log10(lead.std()) == pytest.approx(-30, abs=0.2)
    loud = [samples[start + 200 : end - 200].std() for start, end in spans]
    assert 20 * np.log10(loud) == pytest.approx(10 * np.log10(10**-2 + 10**-3), abs=0.7)


def test_noise_at_0_db_is_there(clips: list[Spoken]) -> None:
    samples, _ = stream(clips, StreamOptions(level_dbfs=-20, snr_db=0))
    assert 20 * np.log10(samples[:RATE].std()) == pytest.approx(-20, abs=0.3)


def test_the_seed_decides(clips: list[Spoken]) -> None:
    options = StreamOptions(snr_db=20)
    first, again, other = (stream(clips, options, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or (first != other).any()


@pytest.mark.parametrize("size", [100, 8000, 10**6])
def test_blocks_are_the_stream_and_tell_every_utterance_in_time(
    clips: list[Spoken], size: int
) -> None:
    samples, spans = stream(clips, StreamOptions())
    cut = list(blocks(chunks(clips, RATE, np.random.default_rng(0)), size))
    np.testing.assert_array_equal(np.concatenate([block for block, _ in cut]), samples)
    assert all(len(block) == size for block, _ in cut[:-1])
    told = [(number, truth) for number, (_, truths) in enumerate(cut) for truth in truths]
    assert [(truth.start, truth.end) for _, truth in told] == spans
    assert all(number == truth.clip_start // size for number, truth in told)


def test_noise_repeats_without_a_step(tmp_path: Path) -> None:
    hum = np.zeros(3 * RATE)
    hum[RATE : 2 * RATE] = 0.3 * np.sin(2 * np.pi * 100.5 * np.arange(RATE) / RATE)
    soundfile.write(tmp_path / "hum.wav", hum, RATE, subtype="FLOAT")
    noise = load_noise(tmp_path / "hum.wav", RATE)
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(1, abs=1e-3)
    assert len(noise) == pytest.approx(0.95 * RATE, abs=10)
    steps = np.abs(np.diff(np.concatenate([noise, noise])))
    assert steps[len(noise) - 1] <= steps[: len(noise) - 1].max()


def test_a_day_is_made_as_it_is_taken(clips: list[Spoken]) -> None:
    utterances = [clip.utterance for clip in clips]
    noise = np.ones(RATE, np.float32)
    endless = day(utterances, [noise], RATE, seconds=1e9, seed=3)
    assert sum(len(chunk.samples) for chunk in islice(endless, 200)) > 100 * RATE
    both = [whole(day(utterances, [noise], RATE, seconds=300, seed=3)) for _ in range(2)]
    (samples, truths), (again, _) = both
    np.testing.assert_array_equal(samples, again)
    assert 300 * RATE <= len(samples) < 310 * RATE
    assert len(truths) > 10
    assert all(left.clip_end < right.clip_start for left, right in pairwise(truths))
