from __future__ import annotations

import io
import os
import socket
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edge_ser.audio import AudioFile, Clip, open_recording, read_clip
from edge_ser.audio import files as audio_files
from edge_ser.audio import given as audio_given
from edge_ser.errors import AudioError, DependencyError

RATE = 16_000


def noise(samples: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels))
    return values.astype(np.float32)


def whole_steps(samples: int) -> NDArray[np.float32]:
    """Noise whose samples are 16-bit numbers, so that lossless means equal."""
    return np.round(noise(samples) * 32_768).astype(np.float32) / 32_768


def written(
    path: Path,
    samples: NDArray[np.float32],
    rate: int = RATE,
    subtype: str | None = None,
    format: str | None = None,
) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, format=format)
    return path


def of_unknown_length(flac: Path, path: Path) -> Path:
    """A FLAC as an encoder writes it into a pipe: the 36 bits of its sample count are 0."""
    return with_declared_length(flac, path, 0)


def with_declared_length(flac: Path, path: Path, samples: int) -> Path:
    data = bytearray(flac.read_bytes())
    fields = int.from_bytes(data[18:26], "big")
    data[18:26] = ((fields >> 36 << 36) | samples).to_bytes(8, "big")
    path.write_bytes(data)
    return path


def error_of(source: str | Path | io.BytesIO) -> str:
    with pytest.raises(AudioError) as caught:
        read_clip(source)
    message = str(caught.value)
    assert "\n" not in message
    assert ": " in message  # what was given, and how to mend it
    return message


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


def test_file_objects(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.flac", whole_steps(3_000))
    stream = io.BytesIO(path.read_bytes())
    stream.seek(17)
    assert read_clip(stream).digest() == read_clip(path).digest()
    assert not stream.closed
    with path.open("rb") as file:
        assert read_clip(file).digest() == read_clip(path).digest()


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


def test_names_need_not_be_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/clip\xff\n.wav"))
    path.write_bytes(written(tmp_path / "clip.wav", noise(10)).read_bytes())
    assert read_clip(path).length == 10
    path.write_bytes(b"")
    message = error_of(path)
    message.encode()
    assert "an empty file" in message


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


def test_folder(tmp_path: Path) -> None:
    assert error_of(tmp_path).startswith(f"{tmp_path}: a folder, expected an audio file")


def test_missing(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    assert error_of(str(path)) == f"{path}: no such file, expected an audio file: check the path"


def test_dangling_link(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.symlink_to("gone.wav")
    assert f"{path}: a link to gone.wav, which is not there" in error_of(path)


def test_link_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.symlink_to(path)
    assert error_of(path).startswith(f"{path}: Too many levels of symbolic links")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything

        def refuse(path: object, mode: str) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(audio_given, "open", refuse, raising=False)
    assert error_of(path).startswith(f"{path}: permission denied, expected a readable file")


def test_pipe(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    os.mkfifo(path)
    assert "a pipe or device" in error_of(path)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "embedded null byte" in error_of(f"{tmp_path}/clip\0.wav")
    assert "File name too long" in error_of(tmp_path / ("a" * 300))


def test_streams_that_cannot_seek() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as stream:
        assert "expected an open file that can seek" in error_of(stream)  # type: ignore[arg-type]
    closed = io.BytesIO(b"RIFF")
    closed.close()
    assert "expected an open file that can seek" in error_of(closed)


def test_without_soundfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DependencyError, match="pip install soundfile"):
        open_recording(path)


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


class Named:
    """A path that is neither text nor `Path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_any_path_like_object(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    assert read_clip(Named(path)).length == 10  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 5, b"RIFF", [0.5], memoryview(b"RIFF")])
def test_what_is_no_source(source: Any) -> None:
    assert f"a value of type {type(source).__name__}, expected a path" in error_of(source)


def test_a_file_that_is_open_as_text(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    with path.open(encoding="latin-1") as text:
        assert "open as text" in error_of(text)  # type: ignore[arg-type]


def test_a_file_that_is_open_for_writing(tmp_path: Path) -> None:
    with (tmp_path / "clip.wav").open("wb") as sink:
        assert "expected an open file" in error_of(sink)  # type: ignore[arg-type]
