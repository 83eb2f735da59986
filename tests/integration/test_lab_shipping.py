"""From runs, or none, to model files with complete cards: what is shipped, and what it says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.audio import read_clip
from edge_ser.card import read_model
from edge_ser.cli import main
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import ConfigError, DataError
from edge_ser.lab import jobs
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.cards import EXCLUDED_USE
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions
from edge_ser.lab.protocols import ProtocolOptions
from edge_ser.lab.provenance import unheard_folds
from edge_ser.lab.runs import fold_of, read_run
from edge_ser.lab.shipping import export_run, export_untrained
from edge_ser.lab.zoo_files import Shipped, export_shipped, read_zoo
from edge_ser.runtime import open_model
from edge_ser.verification import verify

pytestmark = [
    pytest.mark.needs("tensorflow", "tf2onnx", "torch", "onnxscript"),
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation:DeprecationWarning", "ignore::DeprecationWarning:torch"
    ),
]
CHECKOUT = Path(__file__).resolve().parents[2]

KERAS = Experiment(
    "routing-tiny",
    DATA["capsules"],
    network("routing"),
    ProtocolOptions("grouped"),
    TrainingOptions(epochs=1, batch=8, loss="margin"),
)
TORCH = Experiment(
    "tim-tiny",
    replace(DATA["tim"], clip_samples=9_000),
    network("tim-tab1"),
    ProtocolOptions("official"),
    TrainingOptions(epochs=2, batch=4, keep="best_validation"),
)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("untrained") / "routing.tflite"
    return export_untrained("routing", 3, path).model.path


def test_an_untrained_file_says_so_and_verifies(untrained: Path) -> None:
    card = read_model(untrained).card
    assert card.provenance.state == "untrained" and card.provenance.training_clips == ()
    assert card.provenance.network == "routing"
    assert card.labels == ("class_0", "class_1", "class_2")
    assert card.output.scores == open_model(read_model(untrained).payload).outputs[0].name
    assert verify(untrained).exit_code == 0
    assert not list(untrained.parent.glob(".*"))


def test_the_same_seed_gives_the_same_payload(untrained: Path, tmp_path: Path) -> None:
    again = export_untrained("routing", 3, tmp_path / "m.tflite").model
    assert again.card.goldens == read_model(untrained).card.goldens


def test_an_untrained_torch_network(tmp_path: Path) -> None:
    made = export_untrained("tim-tab1", 3, tmp_path / "tim.onnx").model
    assert made.card.output.kind == "logits" and made.card.output.embedding == "embedding"
    assert [tensor.shape for tensor in open_model(made.payload).inputs] == [(1, 39, 188)]
    assert verify(made.path).exit_code == 0


def test_an_untrained_continuous_network_is_folded_as_a_trained_one_is(tmp_path: Path) -> None:
    made = export_untrained("cktim-tab1", 3, tmp_path / "cktim.onnx")
    assert "low-rank" in made.note
    assert len(made.model.payload) < 600_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    made = []
    for index in range(10):
        path = home / f"{index}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 8000) / (1 + index % 2), 16_000)
        part = {0: "test", 1: "test", 2: "val", 3: "val"}.get(index, "train")
        label = ("anger", "neutral")[index % 2]
        made.append(Utterance(path, label, f"s{index // 2}", part))
    return Corpus("tiny", tuple(made))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Iterator[Path]:
    """Runs of made-up clips: whole and two grouped folds in Keras, the official split in Torch."""
    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_SER_RUNS", str(home))
        whole = replace(KERAS, protocol=ProtocolOptions("whole"))
        jobs.train_job(jobs.plan(whole, corpus, folder=home / "routing-tiny"))
        jobs.train_job(jobs.plan(KERAS, corpus, [1, 2], home / "routing-tiny"))
        jobs.train_job(jobs.plan(TORCH, corpus))
        yield home


SHIPPED = Shipped(
    "routing-tiny",
    "tiny",
    "routing-tiny",
    "whole",
    {".tflite": "float32", ".onnx": "float32"},
    folds="grouped-*",
    checkpoint=True,
)


def test_everything_that_is_shipped(runs: Path, corpus: Corpus, tmp_path: Path) -> None:
    written = list(export_shipped(SHIPPED, runs, corpus, tmp_path))
    folds = tmp_path / "folds" / "routing-tiny"
    assert sorted(p.name for p in tmp_path.glob("*.*")) == [
        "routing-tiny.onnx",
        "routing-tiny.tflite",
    ]
    assert all(path.is_file() for path in written)
    card = read_model(tmp_path / "routing-tiny.onnx").card
    digests = {u.path.stem: read_clip(u.path).digest() for u in corpus.utterances}
    assert set(card.provenance.training_clips) == set(digests.values())
    assert card.labels == ("anger", "neutral") and card.provenance.excluded_use == EXCLUDED_USE
    assert card.provenance.metrics["folds"] == 2 and card.output.ece is not None
    assert "2 models of the same recipe (groups of speakers)" in card.provenance.protocol
    assert card.provenance.data == "tiny; 10 clips of 5 speakers, 2 labels"
    assert (card.provenance.network, card.provenance.parameters) == ("routing", 155_929 + 2 * 65)

    fold = read_model(folds / "grouped-02.tflite").card
    assert fold.provenance.speakers == ("s0", "s2", "s3", "s4")
    assert set(fold.provenance.training_clips) == {digests[n] for n in "01456789"}
    assert set(fold.provenance.metrics) == {"accuracy", "uar"}
    kept_run, its_run = (
        read_run(home / "grouped-02") for home in (folds / "runs", runs / "routing-tiny")
    )
    assert set(kept_run.split.labels) == {*its_run.split.test, *its_run.split.validation}
    assert replace(kept_run.split, labels={}) == replace(its_run.split, labels={})
    assert np.array_equal(fold_of(kept_run).scores, fold_of(its_run).scores)
    assert np.array_equal(fold_of(kept_run).labels, fold_of(its_run).labels)
    kept = folds / "whole.keras"
    assert kept.stat().st_size < (runs / "routing-tiny" / "whole" / "last.keras").stat().st_size


def test_folds_that_prove_nothing_are_refused(runs: Path, corpus: Corpus, tmp_path: Path) -> None:
    home = runs / "routing-tiny"
    run = read_run(home / "whole")
    first, second = (home / f"grouped-0{number}" for number in (1, 2))
    assert [fold.folder for fold in unheard_folds(run, [first, second])] == [first, second]
    # The run itself, however its path is spelt, is none of its folds.
    again = home / "." / ".." / "routing-tiny" / "grouped-01"
    assert [f.folder for f in unheard_folds(read_run(first), [again, second])] == [second]
    with pytest.raises(DataError, match="another experiment than"):
        unheard_folds(run, [runs / "tim-tiny" / "official"])
    with pytest.raises(DataError, match="tests clips that another fold tests"):
        unheard_folds(run, [first, first])
    leaky = tmp_path / "published-01"
    shutil.copytree(first, leaky)
    split = json.loads((leaky / "split.json").read_text())
    (leaky / "split.json").write_text(json.dumps({**split, "speakers": []}))
    with pytest.raises(DataError, match="its test speakers were heard in training"):
        unheard_folds(run, [leaky])
    (leaky / "predictions.json").unlink()
    with pytest.raises(DataError, match="expected a finished run with test clips"):
        unheard_folds(run, [leaky])


def test_weights_that_did_not_predict_what_the_run_says_are_refused(
    runs: Path, corpus: Corpus, tmp_path: Path
) -> None:
    copied = tmp_path / "grouped-01"
    shutil.copytree(runs / "routing-tiny" / "grouped-01", copied)
    predictions = json.loads((copied / "predictions.json").read_text())
    turned = {name: scores[::-1] for name, scores in predictions.items()}
    (copied / "predictions.json").write_text(json.dumps(turned))
    with pytest.raises(DataError, match=r"other scores than predictions\.json has"):
        export_run(copied, corpus, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_smaller_form_tells_what_it_changes(runs: Path, corpus: Corpus, tmp_path: Path) -> None:
    done = export_run(
        runs / "tim-tiny" / "official", corpus, tmp_path / "m.onnx", "float16", force=True
    )
    said = read_model(tmp_path / "m.onnx").card.provenance.protocol
    assert said == done.model.card.provenance.protocol
    assert "this float16 file changes 0 of 2 labels and loses 0.0 points of UAR." in said


def test_a_run_in_torch_is_calibrated_on_its_validation_clips(
    runs: Path, corpus: Corpus, tmp_path: Path
) -> None:
    shipped = Shipped("tim-tiny", "tiny", "tim-tiny", "official", {".onnx": "float32"}, nc=True)
    list(export_shipped(shipped, runs, corpus, tmp_path))
    model = read_model(tmp_path / "nc" / "edge_ser_models_nc" / "tim-tiny.onnx")
    card = model.card
    assert card.output.kind == "logits" and card.output.ece is not None
    assert "lowest loss on 2 validation clips" in card.provenance.protocol
    # Those that trained, and those that chose the epoch.
    heard = {read_clip(u.path).digest() for u in corpus.utterances if u.split != "test"}
    assert set(card.provenance.training_clips) == heard
    assert "the corpus's own test split" in card.provenance.protocol
    assert verify(model.path).exit_code == 0
    assert not list(tmp_path.rglob("*.pt"))
    list(export_shipped(replace(shipped, checkpoint=True), runs, corpus, tmp_path))
    assert (tmp_path / "folds" / "tim-tiny" / "official.pt").is_file()


def test_what_cannot_be_shipped(runs: Path, corpus: Corpus, tmp_path: Path) -> None:
    unfinished = replace(TORCH, training=replace(TORCH.training, epochs=1), name="begun")
    (folder,) = jobs.train_job(jobs.plan(unfinished, corpus, folder=tmp_path / "begun"))
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(text.replace("epochs = 1", "epochs = 2"))
    with pytest.raises(DataError, match="1 of 2 epochs are done, expected all"):
        export_run(folder, corpus, tmp_path / "m.onnx")
    assert export_run(
        folder, corpus, tmp_path / "m.onnx", allow_unfinished=True
    ).model.path.exists()
    lonely = replace(SHIPPED, folds="loso-*")
    with pytest.raises(DataError, match=r"0 runs loso-\*, expected two or more"):
        list(export_shipped(lonely, runs, corpus, tmp_path))
    with pytest.raises(DataError, match="expected a whole run folder"):
        list(export_shipped(replace(SHIPPED, shipped="none"), runs, corpus, tmp_path))


def test_other_recordings_than_it_was_trained_on_are_refused(
    runs: Path, corpus: Corpus, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    other = []
    for utterance in corpus.utterances:
        path = tmp_path / utterance.path.name
        soundfile.write(path, rng.uniform(-0.5, 0.5, 8000), 16_000)
        other.append(replace(utterance, path=path))
    with pytest.raises(DataError, match="whole: not the recordings that it was trained on, though"):
        export_run(
            runs / "routing-tiny" / "whole", Corpus("tiny", tuple(other)), tmp_path / "m.onnx"
        )
    assert not (tmp_path / "m.onnx").exists()


def test_a_corpus_that_is_elsewhere_is_asked_for(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs / "routing-tiny" / "whole"
    assert main(["export", str(run), "-o", str(tmp_path / "m.onnx")]) == 7
    said = capsys.readouterr().err
    assert f"; or say with --corpus where the clips of {run} are" in said


def test_the_zoo_file(tmp_path: Path) -> None:
    zoo = read_zoo(CHECKOUT / "models" / "zoo.toml")
    names = [shipped.name for shipped in zoo]
    assert len(set(names)) == len(names) and "plb-emodb" in names
    assert {s.name for s in zoo if s.nc} == {
        s.name for s in zoo if {"ravdess", "emovo"} & set(s.corpus.split("+"))
    }
    wrong = tmp_path / "zoo.toml"
    wrong.write_text('[[model]]\nname = "x"\nfile = "float32"\n')
    with pytest.raises(ConfigError, match=r"model 1: 'file' is unknown: did you mean files\?"):
        read_zoo(wrong)
