"""What a card is told of its runs: how speakers differ, and the figures of each corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.corpora import Utterance
from edge_ser.frontend import PRESETS
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.catalogue import _by_corpus as told_by_corpus
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions
from edge_ser.lab.protocols import ProtocolOptions, Split
from edge_ser.lab.provenance import _by_corpus
from edge_ser.lab.runs import Run

VALUES = 6
LABELS = ("a", "b", "c")


def said(speakers: list[str | None], seed: int = 0) -> Dataset:
    """A clip of each of these speakers, in which some values differ more than others."""
    rng = np.random.default_rng(seed)
    people = {
        who: rng.normal(0, [0, 1, 2, 3, 4, 5], VALUES) for who in sorted(set(map(str, speakers)))
    }
    features = np.array([people[str(who)] + rng.normal(0, 2, VALUES) for who in speakers])
    utterances = {
        str(at): Utterance(Path(f"{at}.wav"), LABELS[at % 3], who)
        for at, who in enumerate(speakers)
    }
    labels = np.arange(len(speakers)) % 3
    known = np.ones((len(speakers), 3), dtype=bool)
    spec = PRESETS["functionals"]
    return Dataset(
        list(utterances), features.astype(np.float32), labels, list(LABELS), utterances, spec, known
    )


def run_on(
    data: Dataset,
    train: list[str],
    predictions: dict[str, list[float]] | None = None,
    name: str = "functionals-24",
) -> Run:
    chosen = network(name)
    experiment = Experiment(
        "made-up",
        replace(DATA[chosen.family], labels=LABELS),
        chosen,
        ProtocolOptions("grouped"),
        TrainingOptions(),
    )
    labels = {name: each.label for name, each in data.utterances.items()}
    return Run(
        Path("run"),
        experiment,
        Split("x", train, list(predictions or {}), labels=labels),
        [],
        predictions,
    )


@pytest.mark.needs("tensorflow", "torch")
class TestPopulation:
    def of(self, run: Run, data: Dataset) -> Any:
        from edge_ser.lab.shipping import population_of

        return population_of(run, data)

    @given(st.integers(0, 1000), st.integers(3, 8), st.integers(2, 9))
    def test_it_is_what_the_formula_says(self, seed: int, people: int, each: int) -> None:
        data = said([f"s{at % people}" for at in range(people * each)], seed)
        found = self.of(run_on(data, data.names), data)
        x = data.features.astype(float).reshape(each, people, VALUES)
        means = x.mean(axis=0)
        np.testing.assert_allclose(found.means(), means.mean(axis=0), rtol=1e-5, atol=1e-5)
        within = x.var(axis=0).mean(axis=0)
        between = ((means - means.mean(axis=0)) ** 2).sum(axis=0) / (people - 1)
        expected = [
            min(4 * w / (b - w / each), 1000.0) if b - w / each > w / 1000 else 1000.0
            for w, b in zip(within, between, strict=True)
        ]
        np.testing.assert_allclose(found.doubts(), expected, rtol=1e-3)

    def test_of_several_corpora_speakers_differ_within_each(self) -> None:
        data = said([f"s{at % 6}" for at in range(60)])
        alone = self.of(run_on(data, data.names), data)
        for name, each in data.utterances.items():
            corpus = "near" if each.speaker in ("s0", "s1", "s2") else "far"
            data.utterances[name] = replace(each, corpus=corpus)
        rows = data.features.reshape(10, 6, VALUES)
        rows[:, 3:] += 100
        found = self.of(run_on(data, data.names), data)
        x = rows.astype(float)
        means, within = x.mean(axis=0), x.var(axis=0).mean(axis=0)
        apart = sum(((m - m.mean(axis=0)) ** 2).sum(axis=0) for m in (means[:3], means[3:]))
        between = np.maximum(apart / (6 - 2) - within / 10, within / 1000)
        np.testing.assert_allclose(found.doubts(), np.minimum(4 * within / between, 1e3), rtol=1e-3)
        assert np.median(found.doubts()) > 0.5 * np.median(alone.doubts())
        # As many corpora as people but one: how people differ is not to be told.
        few = [n for n in data.names if data.utterances[n].speaker in ("s0", "s1", "s3")]
        assert self.of(run_on(data, few), data) is None

    def test_only_clips_that_trained_count(self) -> None:
        data = said([f"s{at % 5}" for at in range(40)])
        train = [name for name in data.names if data.utterances[name].speaker != "s4"]
        found = self.of(run_on(data, train), data)
        data.features[[at for at in range(40) if at % 5 == 4]] = 1e6
        assert self.of(run_on(data, train), data) == found

    def test_values_in_which_speakers_hardly_differ_are_left_as_they_are(self) -> None:
        data = said([f"s{at % 4}" for at in range(40)])
        data.features[:, 0] = 3.0  # of everybody, always
        rows = data.features.reshape(10, 4, VALUES)
        rows[:, :, 1] = np.arange(10)[:, None]  # all speakers alike
        rows[:, :, 2] = np.arange(4)  # each always the same
        found = self.of(run_on(data, data.names), data)
        assert found.doubts()[0] == found.doubts()[1] == 1000
        assert found.doubts()[2] == 0
        assert found.means()[0] == 3

    def test_the_mean_is_over_speakers_however_much_each_says(self) -> None:
        data = said(["s0"] * 20 + ["s1"] * 2 + ["s2"] * 2)
        found = self.of(run_on(data, data.names), data)
        means = [data.features[:20], data.features[20:22], data.features[22:]]
        expected = np.mean([each.mean(axis=0) for each in means], axis=0)
        np.testing.assert_allclose(found.means(), expected, rtol=1e-5)

    def test_where_there_is_none(self) -> None:
        two = said(["s0", "s1"] * 5)
        assert self.of(run_on(two, two.names), two) is None
        nobody: list[str | None] = [None] * 9
        unknown = said(nobody)
        assert self.of(run_on(unknown, unknown.names), unknown) is None
        over_time = replace(said([f"s{at % 4}" for at in range(12)]), spec=PRESETS["librosa"])
        assert self.of(run_on(over_time, over_time.names), over_time) is None


def of_corpora() -> tuple[Dataset, list[Run]]:
    """Two folds: of `one` a half is right, of `two` all."""
    data = said([f"s{at}" for at in range(12)])
    homes = {name: "one" if int(name) < 6 else "two" for name in data.names}
    joined = {name: replace(each, corpus=homes[name]) for name, each in data.utterances.items()}
    data = replace(data, utterances=joined)
    right = np.eye(3)[data.labels].tolist()
    wrong = np.eye(3)[(data.labels + 1) % 3].tolist()
    scores = {
        name: wrong[at] if at in (0, 1, 3) else right[at] for at, name in enumerate(data.names)
    }
    halves = [data.names[::2], data.names[1::2]]
    return data, [run_on(data, [], {name: scores[name] for name in half}) for half in halves]


def test_figures_of_each_corpus_over_all_folds() -> None:
    data, folds = of_corpora()
    # Of `one` labels a b c a b c: wrong are a, b, a; UAR (0 + 1/2 + 1) / 3.
    assert _by_corpus(data, folds) == {
        "accuracy_one": 0.5,
        "uar_one": 0.5,
        "accuracy_two": 1.0,
        "uar_two": 1.0,
    }


def test_one_corpus_has_no_figures_of_its_own_beside_all() -> None:
    data, folds = of_corpora()
    alone = {name: replace(each, corpus=None) for name, each in data.utterances.items()}
    assert _by_corpus(replace(data, utterances=alone), folds) == {}


def test_a_corpus_that_no_fold_tests_has_none() -> None:
    data, folds = of_corpora()
    some = [
        replace(fold, predictions={k: v for k, v in (fold.predictions or {}).items() if int(k) < 6})
        for fold in folds
    ]
    assert sorted(_by_corpus(data, some)) == ["accuracy_one", "uar_one"]


def test_the_catalogue_tells_the_figures_of_each_corpus() -> None:
    figures = {"accuracy": 0.7, "uar": 0.6, "uar_std": 0.1, "accuracy_std": 0.1}
    assert list(told_by_corpus(figures)) == []
    data, folds = of_corpora()
    (line,) = told_by_corpus({**figures, **_by_corpus(data, folds)})
    assert line.endswith(": one 50.0 % (UAR 50.0 %), two 100.0 % (UAR 100.0 %).")
