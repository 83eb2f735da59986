"""What `edge-ser train` is told wrongly ends in one line that says what to do, before any epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.cli import main

pytestmark = pytest.mark.needs("torch")

EXPERIMENT = """
[data]
clip_samples = 9000
features = { layout = "time_last" }
[network]
name = "tim-tab1"
[protocol]
name = "loso"
[training]
epochs = 1
"""
NOISE = 'augmentation.step=[{name="real_noise",folder="/nowhere"}]'
ROWS = [f"{n}.wav,{'ab'[n % 2]},s{n // 2}" for n in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for n in range(6):
        soundfile.write(home / f"{n}.wav", rng.uniform(-0.5, 0.5, 8000), 16_000)
    soundfile.write(home / "empty.wav", np.zeros(0), 16_000)
    manifests = {
        "good": ROWS,
        "missing": [*ROWS, "nowhere.wav,a,s0"],
        "empty": [*ROWS, "empty.wav,a,s0"],
        "alone": [row.rpartition(",")[0] + ",me" for row in ROWS],
        "nameless": [row.rpartition(",")[0] + "," for row in ROWS],
        "lonely_class": [row.replace(",b,s0", ",c,s0") for row in ROWS],
        "one_label": [row.replace(",b,", ",a,") for row in ROWS],
        "silence": [row.replace(",b,", ",no_speech,") for row in ROWS],
        "alike": [row.replace(",b,s0", ",A,s0") for row in ROWS],
    }
    for name, rows in manifests.items():
        (home / f"{name}.csv").write_text("\n".join(["file,label,speaker", *rows]) + "\n")
    (home / "mine.toml").write_text(EXPERIMENT)
    return home


@pytest.mark.parametrize(
    ("manifest", "settings", "code", "said"),
    [
        ("missing", [], 7, "nowhere.wav: no such file (paths are relative"),
        ("empty", [], 5, "empty.wav: a header without samples"),
        ("alone", [], 7, "1 speaker: leaving one out takes at least two"),
        ("nameless", [], 7, "6 clips such as 0 have no speaker, which loso needs"),
        ("lonely_class", [], 7, "loso-s0: no clip of c to train on, expected some of each label"),
        ("one_label", [], 7, "a is its only label, expected two or more"),
        ("silence", [], 7, "a label is no_speech, which stands for silence"),
        ("alike", [], 7, "labels 'A' and 'a' are all but alike"),
        ("good", ["training.corpus_temperature={emovo=0.4}"], 7, "corpus_temperature names emovo"),
        ("good", ['data.labels=["a","b","c"]'], 7, "no clips of c, expected some of each label"),
        ("good", ['data.labels=["a"]'], 7, "labels b are not of a"),
        ("good", ["training.learning_rat=1"], 2, "did you mean learning_rate?"),
        ("good", ["trainning.epochs=1"], 2, "did you mean training?"),
        ("good", ["network.name=tim-tab11"], 2, "did you mean tim-tab1?"),
        ("good", ["network.name=cnn-custom-32-8"], 7, "give the network raw samples"),
        ("good", ["training.schedule=plateau"], 7, "clips, which training.schedule = plateau goes"),
        ("good", ["training.keep=best_validation"], 7, "keep = best_validation goes by"),
        ("good", ["augmentation.preset=microphon"], 2, "did you mean microphone?"),
        ("good", [NOISE, "augmentation.versions=1"], 7, "/nowhere: No such file or directory"),
        ("nowhere", [], 7, "no such folder or manifest"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--check"]])
def test_one_line(
    folder: Path,
    manifest: str,
    settings: list[str],
    code: int,
    said: str,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path))
    chosen = [part for setting in settings for part in ("--set", setting)]
    corpus = str(folder / f"{manifest}.csv")
    given = ["train", str(folder / "mine.toml"), "--corpus", corpus, "--threads", "1", *chosen]
    assert main([*given, *flags]) == code
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    # Nothing is left that would stand in the way of the next attempt.
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parent.name == "features" for path in left)


def test_what_check_lets_pass_trains(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path))
    given = ["train", str(folder / "mine.toml"), "--corpus", str(folder / "good.csv")]
    given += ["--threads", "1", "--fold", "1"]
    assert main([*given, "--check"]) == 0
    said = capsys.readouterr().out
    (home,) = [line.removeprefix("run folders in ") for line in said.splitlines()[-1:]]
    assert "clips of each label: a 3, b 3" in said and not Path(home).exists()
    assert main(given) == 0
    assert (Path(home) / "loso-s0" / "predictions.json").exists()
    # Other clips are other runs.
    assert (
        main([*given[:3], str(folder / "alone.csv"), "--check", "--set", "protocol.name=whole"])
        == 0
    )
    assert "mine-whole-corpus-alone.csv" in capsys.readouterr().out
