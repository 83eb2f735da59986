"""Audio of any format, rate and number of channels: its samples, whole and in pieces."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.audio import Clip, open_recording, read_clip
from edge_ser.audio import files as audio_files

from .audio_samples import RATE, error_of, noise, whole_steps, with_declared_length, written


def of_unknown_length(flac: Path, path: Path) -> Path:
    """A FLAC as an encoder writes it into a pipe: the 36 bits of its sample count are 0."""
    return with_declared_length(flac, path, 0)


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        ("wav", "PCM_U8", 1 / 128),
        ("wav", "PCM_16", 1 / 32_768),
        ("wav", "PCM_24", 2**-23),
        ("wav", "PCM_32", 2**-24),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("aiff", "PCM_16", 1 / 32_768),
        ("flac", "PCM_16", 1 / 32_768),
        ("flac", "PCM_24", 2**-23),
    ],
)
def test_lossless_formats_keep_the_samples(
    tmp_path: Path, suffix: str, subtype: str, step: float
) -> None:
    samples = noise(5_000)
    clip = read_clip(written(tmp_path / f"clip.{suffix}", samples, subtype=subtype))
    assert clip.rate == RATE
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == (5_000,)
    np.testing.assert_allclose(clip.samples, samples[:, 0], rtol=0, atol=step)


@pytest.mark.parametrize(
    ("name", "subtype", "correlation"),
    [
        ("clip.wav", "IMA_ADPCM", 0.99),
        ("clip.wav", "MS_ADPCM", 0.99),
        ("clip.wav", "ULAW", 0.999),
        ("clip.wav", "ALAW", 0.999),
        ("clip.wav", "GSM610", 0.9),
        ("clip.ogg", "VORBIS", 0.95),
        ("clip.ogg", "OPUS", 0.95),
        ("clip.mp3", "MPEG_LAYER_III", 0.95),
    ],
)
def test_lossy_formats_keep_the_sound(
    tmp_path: Path, name: str, subtype: str, correlation: float
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE).astype(np.float32)
    clip = read_clip(written(tmp_path / name, tone, subtype=subtype))
    assert RATE <= clip.length < RATE + 2_400  # codecs work in whole blocks
    measured = np.corrcoef(clip.samples[:RATE], tone)[0, 1]
    assert measured > correlation


@pytest.mark.parametrize("rate", [1_000, 8_000, 44_100, 192_000, 768_000])
def test_any_rate(tmp_path: Path, rate: int) -> None:
    clip = read_clip(written(tmp_path / "clip.wav", noise(100), rate))
    assert (clip.rate, clip.length) == (rate, 100)
    assert clip.seconds == 100 / rate


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000])
def test_rates_out_of_range_are_refused(tmp_path: Path, rate: int) -> None:
    path = written(tmp_path / "clip.wav", noise(100), rate)
    assert f"the rate is {rate} Hz, expected 1000 to 768000" in error_of(path)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 64])
def test_downmix_is_the_mean(tmp_path: Path, channels: int) -> None:
    samples = noise(1_000, channels)
    path = written(tmp_path / "clip.wav", samples, subtype="FLOAT")
    clip = read_clip(path)
    np.testing.assert_allclose(clip.samples, samples.mean(axis=1), rtol=0, atol=1e-7)
    with open_recording(path) as recording:
        assert np.array_equal(recording.read(100, 50), clip.samples[100:150])


def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", noise(10, 65))
    assert "65 channels, expected 1 to 64" in error_of(path)


def test_one_sample_is_audio(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path / "clip.wav", noise(1)))
    assert clip.length == 1


def test_a_wav_and_its_flac_have_one_digest(tmp_path: Path) -> None:
    samples = whole_steps(2_000)
    wav = read_clip(written(tmp_path / "clip.wav", samples, subtype="PCM_16"))
    flac = read_clip(written(tmp_path / "clip.flac", samples, subtype="PCM_16"))
    assert wav.digest() == flac.digest()
    assert wav.digest() != Clip(wav.samples, 8_000).digest()
    assert wav.digest() != Clip(wav.samples[:-1], RATE).digest()


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("clip.wav", "PCM_16"),
        ("clip.wav", "MS_ADPCM"),
        ("clip.flac", "PCM_16"),
        ("clip.wav", "GSM610"),  # libsndfile cannot seek
        ("clip.au", "G721_32"),
        ("clip.aiff", "DWVW_16"),  # libsndfile promises to seek, and fails
    ],
)
def test_pieces_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, subtype: str
) -> None:
    monkeypatch.setattr(audio_files, "BLOCK_SAMPLES", 1_000)
    path = written(tmp_path / name, noise(9_000), subtype=subtype)
    whole = read_clip(path).samples
    with open_recording(path) as recording:
        assert recording.length == len(whole)
        for start, count in ((4_000, 2_500), (6_500, 10), (0, 5), (7_000, 1), (8_000, 10**12)):
            assert np.array_equal(recording.read(start, count), whole[start : start + count])
        for start, count in ((len(whole), 5), (10**6, 5), (3, 0), (3, -2)):
            assert recording.read(start, count).shape == (0,)


def test_unknown_length_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_files, "BLOCK_SAMPLES", 1_000)
    declared = written(tmp_path / "declared.flac", whole_steps(9_500))
    path = of_unknown_length(declared, tmp_path / "piped.flac")
    whole = read_clip(declared)
    assert read_clip(path).digest() == whole.digest()
    with open_recording(path) as recording:
        assert recording.length == 9_500
        assert np.array_equal(recording.read(9_400, 500), whole.samples[9_400:])
        assert np.array_equal(recording.read(10, 500), whole.samples[10:510])


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_written_into_a_pipe(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "clip.wav", noise(500))
    data = bytearray(path.read_bytes())
    start = data.find(b"data") + 4
    data[4:8] = data[start : start + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    assert read_clip(path).length == 500


def test_an_mp3_without_its_header_frame(tmp_path: Path) -> None:
    """Its length is only estimated, and too large here: what can be decoded is the clip."""
    path = tmp_path / "clip.mp3"
    soundfile.write(path, noise(80_000), 44_100, bitrate_mode="CONSTANT", compression_level=0.5)
    data = path.read_bytes()
    second = data.find(data[:2], data.find(b"Info"))
    path.write_bytes(data[second:])
    declared = soundfile.info(path).frames
    clip = read_clip(path)
    assert 80_000 < clip.length < declared


def test_a_clip_is_a_recording() -> None:
    clip = Clip(noise(100)[:, 0], RATE)
    assert (clip.rate, clip.length, clip.seconds) == (RATE, 100, 100 / RATE)
    assert np.array_equal(clip.read(90, 20), clip.samples[90:])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    minute = noise(60 * RATE)
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(10):
            file.write(minute)
    tracemalloc.start()
    try:
        with open_recording(path) as recording:
            for start in range(0, recording.length, 30 * RATE):
                recording.read(start, 30 * RATE)
            recording.read(5, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 4 * 30 * RATE  # three reads; the file is twenty
