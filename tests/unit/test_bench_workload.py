"""What is timed: synthetic speech, folders and corpora, and how their clips are told apart."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.audio import Clip, read_clip
from edge_ser.bench import workload as workloads
from edge_ser.bench.speech import synthetic_wav
from edge_ser.bench.workload import Item, Workload, open_workload, synthetic_workload
from edge_ser.errors import AudioError, DataError, ExitCode, UsageError
from edge_ser.segment import EnergyGate

RATE = 16_000
EMODB = ("03a01Fa", "03a01Nc", "03a01Wa", "08a01Lb", "08a01Ta")

Record = Callable[..., Path]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """`record(name, number)` writes 0.1 s of noise, which `number` decides; 0 is silence."""

    def written(name: str, number: int, below: str = "data") -> Path:
        path = tmp_path / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, RATE // 10)
        soundfile.write(path, noise * bool(number), RATE, subtype="PCM_16")
        return path

    return written


@pytest.fixture
def emodb(record: Record) -> Path:
    """Five clips with names of EMO-DB."""
    paths = [record(f"{stem}.wav", number) for number, stem in enumerate(EMODB, 1)]
    return paths[0].parent


def names(workload: Workload) -> list[str]:
    return [item.name for item in workload.items]


def decoded(item: Item) -> Clip:
    return read_clip(item.source if isinstance(item.source, Path) else io.BytesIO(item.source))


# synthetic speech


@pytest.fixture(scope="module")
def synthetic() -> Workload:
    return synthetic_workload(0)


def test_without_a_data_set_it_is_synthetic_speech(synthetic: Workload) -> None:
    opened = open_workload()
    assert (opened.name, opened.kind) == ("synthetic speech", "synthetic")
    assert opened == synthetic
    assert len(names(opened)) == len(set(names(opened))) == opened.available == 16


def test_synthetic_clips_are_wav_files_of_many_lengths_at_two_rates(synthetic: Workload) -> None:
    assert synthetic.rates == (16_000, 48_000)
    lengths = sorted(item.seconds for item in synthetic.items)
    assert 1.5 <= lengths[0] < 1.8
    assert 4.2 < lengths[-1] <= 4.5
    assert synthetic.seconds == pytest.approx(48, abs=3)
    assert synthetic.seconds_median == pytest.approx(3, abs=0.2)
    for rate in synthetic.rates:
        assert sum(item.rate == rate for item in synthetic.items) == 8
    for item in synthetic.items:
        clip = decoded(item)
        assert (clip.rate, clip.seconds) == (item.rate, item.seconds)
        assert clip.digest() == item.digest
        assert item.label is None


def test_the_seed_decides_synthetic_speech(synthetic: Workload) -> None:
    assert synthetic_workload(0).sha256 == synthetic.sha256
    other = synthetic_workload(1)
    assert other.sha256 != synthetic.sha256
    assert not {item.digest for item in other.items} & {item.digest for item in synthetic.items}


def test_a_limit_takes_the_first_synthetic_clips(synthetic: Workload) -> None:
    few = open_workload(None, 3, 0)
    assert few.items == synthetic.items[:3]
    assert few.available == 16


@given(st.integers(0, 2**32), st.floats(1.5, 4.5), st.sampled_from([8_000, 16_000, 22_050]))
@settings(max_examples=15)
def test_synthetic_speech_is_speech_to_the_gate_and_never_silence(
    seed: int, seconds: float, rate: int
) -> None:
    clip = read_clip(io.BytesIO(synthetic_wav(seconds, rate, np.random.default_rng(seed))))
    assert clip.rate == rate
    assert clip.length == round(seconds * rate)
    assert 0.4 < np.abs(clip.samples).max() < 0.6
    assert abs(float(clip.samples.mean())) < 0.01
    blocks = clip.samples[: clip.length // 400 * 400].reshape(-1, 400)
    assert (np.abs(blocks).max(axis=1) > 0).all()
    gate = EnergyGate(rate)
    assert any(found.opens for found in (*gate.process(clip.samples), *gate.finish()))


def test_synthetic_speech_is_voiced_and_has_the_band_of_a_voice() -> None:
    rate = 16_000
    clip = read_clip(io.BytesIO(synthetic_wav(4.0, rate, np.random.default_rng(3))))
    samples = clip.samples.astype(np.float64)
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    assert power[(hertz > 80) & (hertz < 4_000)].sum() > 0.9 * power.sum()
    periodic = []
    for start in range(0, len(samples) - 1_024, 512):
        frame = samples[start : start + 1_024]
        frame = (frame - frame.mean()) * np.hanning(1_024)
        likeness = np.correlate(frame, frame, "full")[1_023:]
        periodic.append(likeness[rate // 400 : rate // 70].max() / likeness[0])
    assert np.median(periodic) > 0.5


# corpora and folders


def test_a_corpus_is_known_by_its_file_names(emodb: Path) -> None:
    opened = open_workload(str(emodb))
    assert (opened.name, opened.kind, opened.available) == ("emodb", "corpus", 5)
    labels = {item.name: item.label for item in opened.items}
    assert labels == {
        "03a01Fa.wav": "happiness",
        "03a01Nc.wav": "neutral",
        "03a01Wa.wav": "anger",
        "08a01Lb.wav": "boredom",
        "08a01Ta.wav": "sadness",
    }
    assert all(item.source == emodb / item.name for item in opened.items)
    assert opened.rates == (RATE,)
    assert opened.seconds == pytest.approx(0.5)


def test_a_corpus_is_found_by_its_name(emodb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SER_DATA", str(emodb.parent))
    emodb.rename(emodb.parent / "emodb")
    monkeypatch.chdir(emodb.parent.parent)
    opened = open_workload("emodb")
    assert (opened.name, opened.kind, len(opened.items)) == ("emodb", "corpus", 5)


def test_a_folder_per_label_is_a_folder(record: Record) -> None:
    record("calm/one.wav", 1)
    root = record("angry/two.wav", 2).parents[1]
    opened = open_workload(str(root))
    assert (opened.name, opened.kind) == ("data", "folder")
    assert {(item.name, item.label) for item in opened.items} == {
        ("angry/two.wav", "angry"),
        ("calm/one.wav", "calm"),
    }


def test_recordings_beside_folders_have_no_labels(record: Record) -> None:
    record("one.wav", 1)
    root = record("more/two.wav", 2).parents[1]
    opened = open_workload(str(root))
    assert (opened.name, opened.kind) == ("data", "folder")
    assert {(item.name, item.label) for item in opened.items} == {
        ("more/two.wav", None),
        ("one.wav", None),
    }


def test_a_manifest_names_clips_and_labels(record: Record) -> None:
    root = record("one.wav", 1).parent
    (root / "manifest.csv").write_text("path,label\none.wav,calm\n")
    for given_ in (root, root / "manifest.csv"):
        opened = open_workload(str(given_))
        assert opened.kind == "folder"
        assert [(item.name, item.label) for item in opened.items] == [("one.wav", "calm")]


def test_a_manifest_may_name_files_elsewhere(record: Record) -> None:
    far = record("far.wav", 1, below="elsewhere")
    root = record("near.wav", 2).parent
    (root / "manifest.csv").write_text(f"path,label\nnear.wav,calm\n{far},angry\n")
    opened = open_workload(str(root))
    assert sorted(names(opened)) == ["data/near.wav", "elsewhere/far.wav"]


def test_the_hash_is_of_the_clips_and_not_of_place_order_or_format(
    emodb: Path, tmp_path: Path
) -> None:
    here = open_workload(str(emodb), seed=0)
    assert open_workload(str(emodb), seed=5).sha256 == here.sha256
    moved = tmp_path / "moved"
    moved.mkdir()
    for stem, other in zip(EMODB, reversed(EMODB), strict=True):
        samples, rate = soundfile.read(emodb / f"{stem}.wav", dtype="int16")
        soundfile.write(moved / f"{other}.flac", samples, rate)
    assert open_workload(str(moved)).sha256 == here.sha256
    (moved / f"{EMODB[0]}.flac").unlink()
    assert open_workload(str(moved)).sha256 != here.sha256


@given(st.permutations(range(6)))
def test_the_hash_does_not_know_the_order_of_items(order: list[int]) -> None:
    items = [Item(str(n), b"", None, f"{n % 4:016x}", 1.0, RATE) for n in range(6)]
    mixed = Workload("x", "folder", tuple(items[at] for at in order))
    assert mixed.sha256 == Workload("x", "folder", tuple(items)).sha256
    assert mixed.sha256 != Workload("x", "folder", tuple(items[:5])).sha256


def test_the_seed_decides_the_order_and_what_a_limit_leaves(emodb: Path, tmp_path: Path) -> None:
    orders = {tuple(names(open_workload(str(emodb), seed=seed))) for seed in range(8)}
    assert len(orders) > 4
    few = open_workload(str(emodb), 2, seed=3)
    assert names(few) == names(open_workload(str(emodb), seed=3))[:2]
    assert few.available == 5
    shutil.copytree(emodb, tmp_path / "copy")
    assert names(open_workload(str(tmp_path / "copy"), 2, seed=3)) == names(few)


def test_a_large_corpus_is_cut_unless_more_is_asked_for(
    emodb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workloads, "MOST_CLIPS", 3)
    assert len(open_workload(str(emodb)).items) == 3
    assert len(open_workload(str(emodb), 4).items) == 4
    assert len(open_workload(str(emodb), 99).items) == 5


def test_progress_counts_what_was_read(emodb: Path) -> None:
    told: list[tuple[int, int]] = []
    open_workload(str(emodb), 3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


# what cannot be used


def test_a_clip_that_cannot_be_used_is_skipped_and_told(emodb: Path, record: Record) -> None:
    (emodb / f"{EMODB[0]}.wav").write_bytes(b"no audio")
    record(f"{EMODB[1]}.wav", 0)
    opened = open_workload(str(emodb))
    assert len(opened.items) == 3
    assert opened.available == 5
    why = dict(opened.skipped)
    assert set(why) == {f"{EMODB[0]}.wav", f"{EMODB[1]}.wav"}
    assert "silent from beginning to end" in why[f"{EMODB[1]}.wav"]
    assert all("\n" not in reason for reason in why.values())


def test_skipped_clips_do_not_count_towards_a_limit(emodb: Path) -> None:
    first = names(open_workload(str(emodb), seed=1))[0]
    (emodb / first).write_bytes(b"no audio")
    opened = open_workload(str(emodb), 2, seed=1)
    assert len(opened.items) == 2
    assert [name for name, _ in opened.skipped] == [first]


@pytest.mark.parametrize(
    ("clips", "count"), [(1, "the only clip cannot"), (3, "not one of the 3 clips can")]
)
def test_nothing_that_can_be_used_is_an_error(record: Record, clips: int, count: str) -> None:
    for number in range(clips):
        path = record(f"calm/{number}.wav", 1)
        path.write_bytes(b"no audio")
    with pytest.raises(AudioError) as caught:
        open_workload(str(path.parents[1]))
    assert f"{count} be used, the first because of" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """`refused(dataset)` is the message of the DataError."""

    def message(dataset: str) -> str:
        with pytest.raises(DataError) as caught:
            open_workload(dataset)
        assert caught.value.exit_code == ExitCode.DATA
        assert "\n" not in str(caught.value)
        return str(caught.value)

    yield message


def test_an_unknown_name_lists_the_known_ones(refused: Callable[[str], str]) -> None:
    message = refused("emobd")
    assert all(name in message for name in ("emobd", "emodb", "iemocap", "ravdess"))


def test_a_known_name_that_is_not_there_says_what_to_set(
    refused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGE_SER_DATA", raising=False)
    assert "set EDGE_SER_DATA" in refused("iemocap")
    monkeypatch.setenv("EDGE_SER_DATA", str(tmp_path))
    assert "no such folder" in refused("iemocap")


def test_a_folder_without_clips_says_so(refused: Callable[[str], str], tmp_path: Path) -> None:
    assert "no audio" in refused(str(tmp_path))
    (tmp_path / "manifest.csv").write_text("path,label\n")
    assert "no rows" in refused(str(tmp_path))


def test_a_file_that_is_no_manifest_is_refused(
    refused: Callable[[str], str], record: Record
) -> None:
    assert "manifest" in refused(str(record("one.wav", 1)))


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="a limit of 0 clips"):
        open_workload(None, 0)
