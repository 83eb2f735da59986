"""Datasets, feature cache, run folders and TensorFlow's settings: all without Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import DataError, DependencyError, StorageError, UsageError
from edge_ser.lab import cards, compute, features
from edge_ser.lab.datasets import classes_of, names_of, read_dataset, selected
from edge_ser.lab.experiment import DataOptions, as_toml, from_tables
from edge_ser.lab.runs import fold_of, read_run

PLB = DataOptions()


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "runs"))
    rng = np.random.default_rng(0)
    made = []
    for index in range(4):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 8000), 16_000)
        made.append(Utterance(path, "ab"[index % 2], f"s{index // 2}"))
    return Corpus("tiny", tuple(made))


def test_features_are_those_of_the_runtime_and_kept(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    data = read_dataset(corpus, PLB, seen.append)
    assert data.features.shape == (4, 196, 39) and seen == [1, 2, 3, 4]
    assert data.labels.tolist() == [0, 1, 0, 1] and data.names == ["0", "1", "2", "3"]
    monkeypatch.setattr(features, "Frontend", None)
    np.testing.assert_array_equal(read_dataset(corpus, PLB).features, data.features)
    assert not list((features.runs_folder() / "features").glob("*.part*"))


def test_a_damaged_cache_is_made_again_and_a_full_disk_is_told(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_dataset(corpus, PLB).features
    (kept,) = (features.runs_folder() / "features").glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-1000])
    np.testing.assert_array_equal(read_dataset(corpus, PLB).features, before)
    assert features.kept_array(kept, before.shape) is not None
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("in the way")
    with pytest.raises(StorageError, match=r"expected room for \d+ bytes; free some"):
        read_dataset(corpus, PLB)


def test_another_recording_is_another_cache(corpus: Corpus) -> None:
    before = read_dataset(corpus, PLB).features
    soundfile.write(corpus.utterances[0].path, np.zeros(8000), 16_000)
    assert (read_dataset(corpus, PLB).features[0] != before[0]).any()


def test_labels_stand_in_published_order() -> None:
    part = tuple(Utterance(Path(label), label) for label in ("anger", "boredom", "fear"))
    assert classes_of(Corpus("emodb", part)) == ("boredom", "fear", "anger")
    assert classes_of(Corpus("own", part)) == ("anger", "boredom", "fear")


def test_labels_of_ones_own_for_files_of_a_known_corpus() -> None:
    own = tuple(Utterance(Path(label), label) for label in ("wuetend", "froh"))
    assert classes_of(Corpus("emodb", own)) == ("froh", "wuetend")
    slip = Corpus("emodb", (*own, Utterance(Path("x"), "anger")))
    with pytest.raises(DataError, match="labels froh, wuetend are not of anger"):
        selected(slip, DataOptions())


def test_other_labels_are_refused_or_dropped(corpus: Corpus) -> None:
    with pytest.raises(DataError, match=r"labels b are not of a; set data\.labels, or"):
        selected(corpus, DataOptions(labels=("a",)))
    misspelt = Corpus("x", (Utterance(Path("x"), "angre"), Utterance(Path("y"), "calm")))
    with pytest.raises(DataError, match=r"did you mean anger\?"):
        selected(misspelt, DataOptions(labels=("anger", "calm")))
    dropping = DataOptions(labels=("b",), other_labels="drop")
    assert [u.label for u in selected(corpus, dropping).utterances] == ["b", "b"]
    data = read_dataset(corpus, dropping)
    assert data.names == ["1", "3"] and data.labels.tolist() == [0, 0]
    with pytest.raises(DataError, match="no clips of c, expected some of each label"):
        selected(corpus, DataOptions(labels=("a", "b", "c")))


def test_waveforms_are_what_features_are_made_of(corpus: Corpus) -> None:
    data = read_dataset(corpus, PLB)
    assert [len(samples) for samples in data.waveforms(["0", "3"])] == [11_025, 11_025]


def test_names_take_the_folder_where_they_must() -> None:
    twins = [Utterance(Path(f"{folder}/1.wav"), "a") for folder in "ab"]
    assert names_of(twins) == ["a/1", "b/1"]
    assert names_of([]) == []
    nested = [Utterance(Path(f"all/{who}/train/1.wav"), "a") for who in ("ann", "bob")]
    assert names_of(nested) == ["ann/train/1", "bob/train/1"]
    assert names_of([*nested, Utterance(Path("all/1.wav"), "a")])[2] == "1"
    with pytest.raises(DataError, match="2 clips are named a/1, expected one: keep one of"):
        names_of([*twins, Utterance(Path("a/1.flac"), "a")])


def test_a_digest_of_clips_is_of_their_samples_and_names(corpus: Corpus) -> None:
    data = read_dataset(corpus, PLB)
    assert data.digest_of(["0", "3"]) == data.digest_of(["3", "0"]) != data.digest_of(["0", "2"])
    samples, rate = soundfile.read(corpus.utterances[3].path, dtype="int16")
    flac = corpus.utterances[3].path.with_suffix(".flac")
    soundfile.write(flac, samples, rate)
    stored = Corpus("tiny", (*corpus.utterances[:3], replace(corpus.utterances[3], path=flac)))
    assert read_dataset(stored, PLB).digest_of(["0", "3"]) == data.digest_of(["0", "3"])
    soundfile.write(flac, samples[::-1], rate)
    assert read_dataset(stored, PLB).digest_of(["0", "3"]) != data.digest_of(["0", "3"])


def test_runs_live_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGE_SER_RUNS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert features.runs_folder() == tmp_path / "edge-ser"


def test_a_run_folder_is_read_and_checked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(DataError, match="expected a whole run folder"):
        read_run(folder)
    values = {
        "name": "tiny",
        "data": {"labels": ["a", "b"]},
        "network": {"name": "plb"},
        "training": {"epochs": 2},
    }
    (folder / "config.toml").write_text(as_toml(from_tables(values, "", "here")))
    split = {"name": "x", "train": ["0"], "test": ["1"]}
    (folder / "split.json").write_text(json.dumps(split))
    assert not read_run(folder).finished
    with pytest.raises(DataError, match="no predictions of test clips"):
        fold_of(read_run(folder))
    (folder / "metrics.jsonl").write_text('{"epoch": 0}\n{"epoch": 1}\n')
    # The last weights are written after the last row, predictions after them.
    assert not read_run(folder).finished
    (folder / "predictions.json").write_text(json.dumps({"1": [0.25, 0.75]}))
    with pytest.raises(DataError, match=r"split\.json lacks a label \('1'\): train again"):
        fold_of(read_run(folder))
    (folder / "split.json").write_text(json.dumps({**split, "labels": {"0": "a", "1": "b"}}))
    run = read_run(folder)
    assert run.finished and run.weights == folder / "last.keras"
    fold = fold_of(run)
    assert fold.scores.tolist() == [[0.25, 0.75]] and fold.labels.tolist() == [1]
    (folder / "predictions.json").write_text("{}")
    with pytest.raises(DataError, match=r"not of split\.json's test clips"):
        read_run(folder)


def test_settings_are_refused_after_tensorflow_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    with pytest.raises(UsageError, match="imported with other settings"):
        compute.prepare(threads=3)
    with pytest.raises(UsageError, match="threads is 0"):
        compute.prepare(threads=0)


def test_without_keras_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    for name, value in compute.settings().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DependencyError, match=r"pip install 'edge-ser\[train,export\]'"):
        compute.prepare()


def test_jobs_are_imported_without_keras() -> None:
    code = "import sys, edge_ser.lab.jobs; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cards_say_what_the_models_are_not_for() -> None:
    assert "Art. 5(1)(f)" in cards.EXCLUDED_USE and "Art. 50(3)" in cards.EXCLUDED_USE
    source = cards.SOURCES["emodb"]
    assert source.licence == "CC0-1.0" and "audEERING" in source.data
    assert source.bandwidth_hz == 8000
    assert "numpy" in cards.tools()
