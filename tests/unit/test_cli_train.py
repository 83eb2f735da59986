"""`edge-ser train`: what it asks of the workshop and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_ser.cli import main
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import DependencyError
from edge_ser.lab.experiment import as_toml, from_tables, shipped

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
CORPUS = Corpus(
    "mine",
    tuple(Utterance(Path(f"{n}.wav"), ("calm", "glad")[n % 2], str(n % 5)) for n in range(10)),
)


EMOVO = (Utterance(Path("0.wav"), "anger"), Utterance(Path("1.wav"), "glad"))
checked: list[Any] = []


@pytest.fixture(autouse=True)
def corpus(monkeypatch: Patch) -> None:
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: CORPUS)


@pytest.fixture
def experiment(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[data]\ncorpus = "somewhere"\n[network]\nname = "routing"\n'
        '[protocol]\nname = "loso"\n[training]\nepochs = 3\n'
    )
    return str(path)


def fake_run(folder: Path, **row: float) -> Path:
    """The records of a run that has done one epoch."""
    folder.mkdir()
    values = {"network": {"name": "plb"}, "training": {"epochs": 1}}
    (folder / "config.toml").write_text(as_toml(from_tables(values, "mine", "here")))
    (folder / "split.json").write_text(json.dumps({"name": folder.name, "train": [], "test": []}))
    (folder / "metrics.jsonl").write_text(json.dumps({"epoch": 0, **row}) + "\n")
    return folder


@pytest.fixture
def asked(monkeypatch: Patch, tmp_path: Path) -> list[Any]:
    calls: list[Any] = []
    folders = [
        fake_run(tmp_path / "loso-1", loss=0.5, accuracy=0.7, test_accuracy=0.6, test_uar=0.55),
        fake_run(tmp_path / "loso-2", loss=0.25),
    ]

    def train_job(*arguments: Any) -> list[Path]:
        calls.append(arguments)
        for run in ("loso-1", "loso-2"):
            arguments[2](run, {"epoch": 0.0})
        return folders

    monkeypatch.setattr("edge_ser.lab.compute.prepare", lambda threads: None)
    monkeypatch.setattr("edge_ser.lab.compute.keras_device", lambda: "cpu")
    monkeypatch.setattr("edge_ser.lab.jobs.train_job", train_job)
    monkeypatch.setattr("edge_ser.lab.jobs.check_job", lambda *arguments: checked.append(arguments))
    checked.clear()
    return calls


def test_options_become_a_plan(asked: list[Any], experiment: str, capsys: Capture) -> None:
    options = "--fold 2 --fold 1 --seed 7 --seed 8 --runs somewhere --threads 1"
    more = "--set training.batch=8 --set training.schedule=steps"
    assert main(["train", experiment, *options.split(), *more.split()]) == 0
    [(plan, seeds, _, _, threads)] = asked
    assert [split.name for split in plan.splits] == ["loso-1", "loso-0"]
    assert (seeds, threads, plan.folder) == ((7, 8), 1, Path("somewhere"))
    assert plan.experiment.training.batch == 8 and plan.experiment.training.schedule == "steps"
    assert plan.experiment.name == "mine-batch-8-schedule-steps"
    assert plan.experiment.data.labels == ("calm", "glad")
    assert plan.experiment.data.corpus == "mine"


def test_run_folders_go_to_the_cache(
    asked: list[Any], experiment: str, monkeypatch: Patch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path))
    assert main(["train", experiment]) == 0
    [(plan, seeds, _, _, threads)] = asked
    assert (plan.folder, seeds, threads, len(plan.splits)) == (tmp_path / "mine", (), 2, 5)


def test_table(asked: list[Any], experiment: str, capsys: Capture, tmp_path: Path) -> None:
    assert main(["train", experiment]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    header, first, second = said.out.splitlines()
    fields = ["run", "epochs", "loss", "accuracy", "test_accuracy", "test_uar", "folder"]
    assert header.split() == fields
    assert first.split() == [
        "loso-1",
        "1",
        *["0.500", "0.700", "0.600", "0.550"],
        f"{tmp_path}/loso-1",
    ]
    assert second.split() == ["loso-2", "1", "0.250", f"{tmp_path}/loso-2"]


def test_jsonl(asked: list[Any], experiment: str, capsys: Capture) -> None:
    assert main(["train", experiment, "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["loss"] for row in rows] == [0.5, 0.25]


def test_check_shows_the_plan_and_trains_nothing(
    asked: list[Any], experiment: str, capsys: Capture
) -> None:
    assert main(["train", experiment, "--check", "--fold", "3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "mine: routing on mine, computed on cpu"
    assert said[1] == "  loso-2: 8 train, 2 test (speakers 2)"
    assert said[2] == "clips of each label: calm 5, glad 5"
    [(plan, *_)] = checked
    assert [split.name for split in plan.splits] == ["loso-2"]
    assert said[3].startswith("run folders in ") and not asked


@pytest.mark.parametrize("flags", [["--check"], []])
def test_what_is_read_is_never_written_over(
    asked: list[Any], experiment: str, flags: list[str], capsys: Capture
) -> None:
    before = Path(experiment).read_text()
    assert main(["train", experiment, *flags, "-o", experiment]) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert Path(experiment).read_text() == before and not asked


def test_runs_are_not_put_among_the_clips(
    asked: list[Any], experiment: str, tmp_path: Path, capsys: Capture
) -> None:
    given = ["train", experiment, "--corpus", str(tmp_path), "--runs", str(tmp_path / "runs")]
    assert main(given) == 2
    assert "lies among the clips of" in capsys.readouterr().err and not asked


def test_who_stops_it_is_told_how_it_goes_on(
    asked: list[Any], experiment: str, monkeypatch: Patch, capsys: Capture
) -> None:
    def stopped(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_ser.lab.jobs.train_job", stopped)
    assert main(["train", experiment]) == 130
    said = capsys.readouterr()
    assert said.err.startswith("stopped: the same command goes on") and not said.out


def test_threads_have_a_bound(asked: list[Any], experiment: str, capsys: Capture) -> None:
    assert main(["train", experiment, "--threads", "100000"]) == 2
    assert "1<=x<=256" in capsys.readouterr().err and not asked


def test_list_names_all_experiments_and_networks(capsys: Capture) -> None:
    assert main(["train", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in shipped()) and "cktim-tab6" in said


def test_epochs_are_counted_over_runs(
    asked: list[Any], experiment: str, monkeypatch: Patch, capsys: Capture
) -> None:
    from contextlib import contextmanager

    told: list[tuple[int, int]] = []

    @contextmanager
    def bar(shown: bool) -> Any:
        yield lambda done, total: told.append((done, total))

    monkeypatch.setattr("edge_ser.cli.train.progress_bar", bar)
    assert main(["train", experiment, "--fold", "1", "--fold", "2"]) == 0
    assert told == [(1, 6), (4, 6)]


def test_without_the_extra_it_is_4(monkeypatch: Patch, experiment: str, capsys: Capture) -> None:
    def missing(threads: int) -> None:
        raise DependencyError("training needs Keras; pip install 'edge-ser[train]'")

    monkeypatch.setattr("edge_ser.lab.compute.prepare", missing)
    assert main(["train", experiment]) == 4
    assert "pip install 'edge-ser[train]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "no experiment, expected a TOML file or a name"),
        (["plb-emodv"], 2, "did you mean plb-emodb?"),
        (["plb-emodb", "--set", "training.epoch=3"], 2, "did you mean epochs?"),
        (["plb-emodb", "--set", "protocol.name=los"], 2, "name is 'los', expected grouped or loso"),
        (["tim-emovo"], 7, "labels glad are not of anger"),
    ],
)
def test_mistakes(
    arguments: list[str], code: int, message: str, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setattr(
        "edge_ser.corpora.read_corpus",
        lambda name: Corpus(name, EMOVO) if name == "emovo" else CORPUS,
    )
    assert main(["train", *arguments]) == code
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
