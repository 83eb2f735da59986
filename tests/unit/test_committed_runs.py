"""The records of trainings that are committed: whole, and without a speaker on both sides."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from edge_ser.card import read_model
from edge_ser.corpora import NAMED
from edge_ser.lab.runs import Run, read_run

FOLDS = Path(__file__).resolve().parents[2] / "models" / "folds"
RUNS = sorted(path.parent for path in FOLDS.rglob("config.toml"))
LEAKY = ("published", "stratified")


def speakers(run: Run, names: list[str]) -> set[str]:
    corpora = run.experiment.data.corpus.split("+")
    if len(corpora) == 1:
        found = {NAMED[corpora[0]].parse(Path(name)) for name in names}
        return {utterance.speaker or "" for utterance in found if utterance}
    homes = {n: [c for c in corpora if NAMED[c].pattern.fullmatch(n)] for n in names}
    assert all(len(corpus) == 1 for corpus in homes.values())
    parsed = {(corpus, NAMED[corpus].parse(Path(name))) for name, (corpus,) in homes.items()}
    return {f"{corpus}-{each.speaker}" for corpus, each in parsed if each}


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: str(path.relative_to(FOLDS)))
def test_a_run_holds_together(folder: Path) -> None:
    run = read_run(folder)
    clips = [*run.split.train, *run.split.validation, *run.split.test]
    assert len(set(clips)) == len(clips)
    # Of clips that only train, figures need no label.
    assert set(run.split.labels) == {*run.split.validation, *run.split.test}
    assert set(run.split.labels.values()) <= set(run.classes)
    assert [row["epoch"] for row in run.rows] == list(range(len(run.rows)))
    assert run.finished != ("unfinished" in folder.parts)
    if run.split.test and not run.experiment.protocol.name.startswith(LEAKY):
        tested = speakers(run, run.split.test)
        assert not tested & speakers(run, [*run.split.train, *run.split.validation])


def test_fold_models_heard_no_speaker_that_their_runs_test() -> None:
    models = [path for path in FOLDS.rglob("*.*") if path.suffix in (".tflite", ".onnx")]
    assert models
    for path in models:
        run = read_run(path.parent / "runs" / path.stem)
        assert set(read_model(path).card.provenance.speakers) == speakers(
            run, [*run.split.train, *run.split.validation]
        )


def test_no_clip_is_tested_in_two_folds() -> None:
    for home in {folder.parent for folder in RUNS if "unfinished" not in folder.parts}:
        by_protocol: dict[str, list[set[str]]] = {}
        for folder in home.iterdir():
            if (folder / "config.toml").exists():
                run = read_run(folder)
                key = f"{run.experiment.protocol.name} {run.experiment.training.seed}"
                by_protocol.setdefault(key, []).append(set(run.split.test))
        for tested in by_protocol.values():
            assert not any(a & b for a, b in combinations(tested, 2))
