"""An answer among all labels and one by corpus, against the same by hand in numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import ConfigError, DataError
from edge_ser.lab import compute, jobs
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.architectures.options import FunctionalsOptions
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions, as_toml, from_tables
from edge_ser.lab.protocols import ProtocolOptions
from edge_ser.metrics import softmax

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SETS = ((0, 1, 3), (1, 2, 3))
MEMBERS = np.array([[at in row for at in range(4)] for row in SETS])
OPTIONS = FunctionalsOptions(
    hidden=6, rank=5, corpora={"north": 0.5, "south": 2.0}, label_sets=SETS
)


@pytest.fixture(scope="module")
def two() -> Any:
    compute.prepare()
    from edge_ser.lab.architectures.perceptron import TwoAnswers

    return TwoAnswers(MEMBERS.tolist(), [0.5, 2.0], 1.5)


def draws(clips: int = 5) -> list[Any]:
    """Logits among all and by corpus, likeness of three rows, trust."""
    rng = np.random.default_rng(0)
    given = *rng.normal(0, 2, (2, clips, 4)), softmax(rng.normal(size=(clips, 3)))
    return [each.astype(np.float32) for each in (*given, rng.uniform(0.2, 1, (clips, 1)))]


def by_hand(given: list[Any], temperature: float, temperatures: tuple[float, float]) -> Any:
    answers = np.zeros((len(given[0]), 4, 4))
    for clip, (logits, by_corpus, likeness, (trust,)) in enumerate(zip(*given, strict=True)):
        odds = np.exp(logits / temperature)
        answers[clip, 0] = odds / odds.sum()
        for row, outputs in enumerate(SETS):
            odds = np.exp(by_corpus[list(outputs)] / temperatures[row])
            answers[clip, 1 + row, list(outputs)] = trust * likeness[row] * odds / odds.sum()
        answers[clip, 3] = (1 - answers[clip, 1:3].sum()) / 4
    return answers


@pytest.mark.parametrize(
    ("training", "temperature", "temperatures"),
    [(False, 1.5, (0.5, 2.0)), (True, 1.0, (1.0, 1.0))],
)
def test_what_is_like_no_corpus_is_like_every_label(
    two: Any, training: bool, temperature: float, temperatures: tuple[float, float]
) -> None:
    given = draws()
    answers = np.asarray(two(given, training=training))
    wanted = by_hand(given, temperature, temperatures)
    np.testing.assert_allclose(answers, wanted, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(answers.sum(axis=(1, 2)), 2, rtol=1e-6)
    assert (answers[:, 1, 2] == 0).all() and (answers[:, 2, 0] == 0).all()


def test_the_loss_asks_for_the_one_answer_or_the_other() -> None:
    compute.prepare()
    import tensorflow as tf

    from edge_ser.lab.training.keras_trainer import answers_cross_entropy

    answers = by_hand(draws(), 1.0, (1.0, 1.0)).astype(np.float32)
    targets = np.full((5, 4, 4), -1, np.float32)
    targets[0, 0] = [0, 1, -1, 0]  # among the labels of its corpus
    targets[1, 0] = [0, 0.5, 0, 0]  # logits halved
    targets[2:, 1:] = 0
    targets[2, 1, 1] = 1  # north
    targets[3, 2, [1, 2]] = 0.3, 0.7  # south, two clips mixed
    targets[4, 3] = 0.25  # no speech
    halved = answers[1, 0] ** 0.5
    expected = [
        -np.log(answers[0, 0, 1] / (1 - answers[0, 0, 2])),
        -np.log(halved[1] / halved.sum()),
        -np.log(answers[2, 1, 1]),
        -0.3 * np.log(answers[3, 2, 1]) - 0.7 * np.log(answers[3, 2, 2]),
        -np.log(answers[4, 3, 0]),
    ]
    with tf.GradientTape() as tape:
        watched = tf.Variable(answers)
        found = answers_cross_entropy(targets, watched)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)
    gradient = np.asarray(tape.gradient(found, watched))
    assert np.isfinite(gradient).all()
    assert not gradient[:2, 1:].any() and not gradient[2:, 0].any()


def test_what_is_not_asked_may_be_as_sure_as_it_likes() -> None:
    compute.prepare()
    import tensorflow as tf

    from edge_ser.lab.training.keras_trainer import answers_cross_entropy

    answers = np.zeros((2, 3, 9), np.float32)
    answers[:, 0, 0] = answers[:, 1, 0] = 1
    targets = np.full((2, 3, 9), -1, np.float32)
    targets[0, 0] = targets[1, 1] = np.eye(9)[0]
    with tf.GradientTape() as tape:
        watched = tf.Variable(answers)
        found = answers_cross_entropy(targets, watched)
    np.testing.assert_allclose(np.asarray(found), 0, atol=1e-5)
    assert np.isfinite(np.asarray(tape.gradient(found, watched))).all()


def test_the_network_says_the_mean_of_both_and_is_kept_in_a_file(tmp_path: Path) -> None:
    compute.prepare()
    import keras

    chosen = replace(network("functionals-24"), options=OPTIONS)
    from edge_ser.lab.architectures.networks import build

    model = build(chosen, 4, (40,), 3)
    x = np.random.default_rng(1).standard_normal((6, 40)).astype(np.float32)
    scores = np.asarray(model(x))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    # 5 sums of 40, 6 units, 4 outputs of each 3, a likeness of 3 with its biases; as many again as
    # the mean, the deviation, their count and what is usual.
    assert model.count_params() == 5 * 40 + 6 * 6 + 6 * 4 + 3 * 6 + 2 * 40 + 1 + 1
    both = keras.Model(model.input, model.get_layer("two_answers").output)
    np.testing.assert_allclose(np.asarray(both(x)).sum(axis=1) / 2, scores, rtol=1e-6)
    model.get_layer("likeness").set_weights([np.zeros((5, 3)), np.array([30.0, 0, 0])])
    said = np.asarray(both(x))
    assert (said[:, 1].sum(axis=1) > 0).all() and (said[:, 2] < 1e-12).all()
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(again(x), model(x))


def joined() -> Corpus:
    labels = {"north": ("anger", "boredom", "sadness"), "south": ("boredom", "calm", "sadness")}
    return Corpus(
        "north+south",
        tuple(
            Utterance(Path(f"{home}-{name}-{at}.wav"), name, f"{home}{at}", corpus=home)
            for home, names in labels.items()
            for at in range(2)
            for name in names
        ),
    )


def experiment(**corpora: float) -> Experiment:
    chosen = network("functionals-24").with_options(corpora=corpora)
    protocol = ProtocolOptions("grouped", folds=2)
    return Experiment("made-up", DATA["functionals"], chosen, protocol, TrainingOptions())


def test_a_plan_knows_which_outputs_each_corpus_has() -> None:
    planned = jobs.plan(experiment(south=2.0, north=0.5), joined()).experiment
    assert planned.data.labels == ("anger", "boredom", "calm", "sadness")
    assert planned.network.options.label_sets == ((1, 2, 3), (0, 1, 3))
    import tomllib

    assert from_tables(tomllib.loads(as_toml(planned)), "", "here") == planned


def test_corpora_of_the_same_labels_are_refused() -> None:
    """By its labels an example's corpus is told: the second would never be learnt."""
    merged = {"calm": "sadness", "boredom": "anger"}
    alike = (
        replace(each, label=merged.get(each.label, each.label)) for each in joined().utterances
    )
    corpus = Corpus("north+south", tuple(alike))
    with pytest.raises(ConfigError, match="corpora of the same labels, expected some that differ"):
        jobs.plan(experiment(north=1.0, south=1.0), corpus)


def test_corpora_that_are_not_those_of_the_clips_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"corpora names north, expected .*: north, south"):
        jobs.plan(experiment(north=1.0), joined())


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"corpora": {"north": 0.0}}, r"corpora\.north is 0\.0, expected 0\.01 to 100"),
        ({"temperature": 200.0}, r"temperature is 200\.0, expected 0\.01 to 100"),
        ({"corpora": {"north": 1.0}, "hidden": 25}, "hidden is 25 with corpora, expected an even"),
        ({"corpora": {"north": 1.0}, "label_sets": ((0,), (1,))}, "2 lists, expected 1"),
    ],
)
def test_bad_corpora_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        FunctionalsOptions(**chosen)


@pytest.mark.parametrize(
    ("label_sets", "message"),
    [((), "no label_sets for the corpora north"), (((0, 7),), r"label_sets of north is \(0, 7\)")],
)
def test_a_network_without_the_labels_of_its_corpora_is_refused(
    label_sets: tuple[tuple[int, ...], ...], message: str
) -> None:
    compute.prepare()
    from edge_ser.lab.architectures.networks import build

    chosen = network("functionals-24").with_options(corpora={"north": 1.0}, label_sets=label_sets)
    with pytest.raises(DataError, match=message):
        build(chosen, 4, (40,), 3)
