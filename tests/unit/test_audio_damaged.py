"""Files that are empty, cut, damaged or no audio: an error of one line, or a clip of numbers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.audio import AudioFile, open_recording, read_clip
from edge_ser.audio import files as audio_files
from edge_ser.errors import AudioError

from .audio_samples import RATE, error_of, noise, whole_steps, with_declared_length, written


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.touch()
    assert error_of(path) == f"{path}: an empty file, expected audio: copy or record it again"
    assert error_of(io.BytesIO()).startswith("audio stream: an empty file")


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_header_only(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"clip.{suffix}", noise(0))
    assert "a header without samples" in error_of(path)


def test_text_named_wav(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_text("This is not audio.\n" * 100)
    message = error_of(path)
    assert "not audio that can be decoded (Format not recognised)" in message
    assert "convert it to WAV" in message


def test_headerless(tmp_path: Path) -> None:
    path = tmp_path / "clip.raw"
    path.write_bytes(bytes(1_000))
    assert "headerless samples" in error_of(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_flac(tmp_path: Path, kept: float) -> None:
    path = written(tmp_path / "clip.flac", whole_steps(48_000))
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    assert "damaged or cut short" in error_of(path)


def test_a_flac_that_declares_too_much(tmp_path: Path) -> None:
    path = written(tmp_path / "whole.flac", whole_steps(9_000))
    path = with_declared_length(path, tmp_path / "clip.flac", 9_001)
    assert "cut short, 9000 samples where its header declares 9001" in error_of(path)


def test_a_flac_damaged_inside_fails_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio_files, "BLOCK_SAMPLES", 4_096)
    path = written(tmp_path / "clip.flac", whole_steps(80_000))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    with open_recording(path) as recording:
        first = recording.read(0, 4_096)
        for start in (4_096, 70_000):
            with pytest.raises(AudioError, match="damaged or cut short"):
                recording.read(start, 80_000)
        assert np.array_equal(recording.read(0, 4_096), first)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_values_that_are_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, channels: int
) -> None:
    monkeypatch.setattr(audio_files, "BLOCK_SAMPLES", 100)
    samples = noise(1_000, channels)
    samples[345, 0] = value
    path = written(tmp_path / "clip.wav", samples, subtype="FLOAT")
    assert "sample 345 is NaN or infinite" in error_of(path)
    with open_recording(path) as recording:
        assert len(recording.read(0, 300)) == 300


def test_doubles_beyond_float32(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.full((10, 2), 1e300), RATE, subtype="DOUBLE")
    assert "sample 0 is NaN or infinite" in error_of(path)


def test_infinities_of_both_signs(tmp_path: Path) -> None:
    samples = np.full((10, 2), np.inf, dtype=np.float32)
    samples[:, 1] = -np.inf
    path = written(tmp_path / "clip.wav", samples, subtype="FLOAT")
    assert "sample 0 is NaN or infinite" in error_of(path)


def test_a_file_that_changes_while_it_is_open(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", noise(9_000), subtype="GSM610")
    with AudioFile(path) as recording:
        recording.read(5_000, 100)
        path.write_text("gone")
        with pytest.raises(AudioError, match="not audio"):
            recording.read(0, 100)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "caf", "w64"])
def test_damaged_files_give_a_clip_or_an_audio_error(tmp_path: Path, suffix: str) -> None:
    whole = written(tmp_path / f"whole.{suffix}", noise(3_000, 2)).read_bytes()
    path = tmp_path / f"clip.{suffix}"
    rng = np.random.default_rng(0)
    for attempt in range(60):
        data = bytearray(whole)
        reach = min(len(data), 200) if attempt % 2 else len(data)  # every other time the header
        for position in rng.integers(0, reach, 5):
            data[position] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(1, len(data))] if attempt % 5 == 0 else data)
        try:
            clip = read_clip(path)
        except AudioError as error:
            assert "\n" not in str(error)
        else:
            assert clip.length > 0
            assert np.isfinite(clip.samples).all()
