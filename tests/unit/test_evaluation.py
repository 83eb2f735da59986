"""Evaluation with fake models: who may score what, and what the report says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edge_ser.audio import Clip, read_clip
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import UsageError
from edge_ser.evaluation import (
    evaluate,
    robustness_table,
    score,
    spread,
)

RATE = 8000
LABELS = ("low", "high")


@dataclass
class Provenance:
    training_clips: Sequence[str] = ()


@dataclass
class Card:
    name: str = "fake"
    labels: tuple[str, ...] = LABELS
    provenance: Provenance = field(default_factory=Provenance)


class FakeClassifier:
    """Says high where most energy lies above 1 kHz, as sure as it is told to be."""

    def __init__(self, name: str = "fake", heard: Sequence[str] = (), sure: float = 0.9) -> None:
        self.card = Card(name, provenance=Provenance(heard))
        self.path = Path("fake.tflite")
        self.sure = sure
        self.clips: list[Clip] = []

    def scores(self, clip: Clip) -> NDArray[np.float64]:
        self.clips.append(clip)
        power = np.square(np.abs(np.fft.rfft(clip.samples)))
        above = power[np.fft.rfftfreq(len(clip.samples), 1 / clip.rate) > 1000].sum()
        high = self.sure if above > power.sum() / 2 else 1 - self.sure
        return np.array([1 - high, high])


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Six tones, three of each label; the last `high` is in truth low."""
    utterances = []
    for number, (label, hz) in enumerate(
        [("low", 300), ("low", 400), ("low", 500), ("high", 2000), ("high", 3000), ("high", 600)]
    ):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.1 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE), RATE)
        utterances.append(Utterance(path, label))
    return Corpus("made", tuple(utterances))


def digests(corpus: Corpus) -> list[str]:
    return [read_clip(utterance.path).digest() for utterance in corpus.utterances]


def test_figures(corpus: Corpus) -> None:
    report = score(corpus, [FakeClassifier()])
    assert (report.n, report.clips, report.seen_in_training, report.failures) == (6, 6, 0, ())
    assert report.accuracy == pytest.approx(5 / 6)
    assert report.uar == pytest.approx((1 + 2 / 3) / 2)
    assert report.confusion == ((3, 0), (1, 2))
    assert report.ece == pytest.approx(abs(5 / 6 - 0.9))
    expected = -(5 * np.log(0.9) + np.log(0.1)) / 6
    assert report.negative_log_likelihood == pytest.approx(expected)
    assert [(m.name, m.n) for m in report.models] == [("fake", 6)]
    (bin_,) = report.reliability
    assert (bin_.n, bin_.confidence, bin_.accuracy) == (6, pytest.approx(0.9), pytest.approx(5 / 6))
    assert [point.coverage for point in report.risk_coverage[3::4]] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert {round(point.accuracy, 9) for point in report.risk_coverage} == {round(5 / 6, 9)}
    assert {round(point.confidence, 9) for point in report.risk_coverage} == {0.9}


def test_each_clip_goes_to_the_first_model_that_has_not_heard_it(corpus: Corpus) -> None:
    names = digests(corpus)
    whole = FakeClassifier("whole", names)
    first = FakeClassifier("fold 1", names[3:])
    second = FakeClassifier("fold 2", names[:3])
    report = score(corpus, [whole, first, second])
    assert (len(whole.clips), len(first.clips), len(second.clips)) == (0, 3, 3)
    assert [(m.name, m.n, round(m.accuracy, 3)) for m in report.models] == [
        ("fold 1", 3, 1.0),
        ("fold 2", 3, 0.667),
    ]
    over = report.to_dict()["accuracy_over_models"]
    assert over["mean"] == pytest.approx(5 / 6)
    assert over["std"] == pytest.approx(np.std([1, 2 / 3], ddof=1))


def test_namesakes_are_told_apart(corpus: Corpus) -> None:
    names = digests(corpus)

    def shown(*paths: str) -> list[str]:
        models = [FakeClassifier(heard=names[3:]), FakeClassifier(heard=names[:3])]
        for model, path in zip(models, paths, strict=True):
            model.path = Path(path)
        return [m.name for m in score(corpus, models).models]

    assert shown("folds/loso-01.tflite", "folds/loso-02.tflite") == ["loso-01", "loso-02"]
    assert shown("a/one.tflite", "b/one.tflite") == ["one (1)", "one (2)"]


def test_clips_that_all_models_heard_are_never_scored(corpus: Corpus) -> None:
    names = digests(corpus)
    report = score(corpus, [FakeClassifier(heard=names[4:])])
    assert (report.n, report.seen_in_training) == (4, 2)
    assert report.accuracy == 1.0
    model = FakeClassifier(heard=names)
    nothing = score(corpus, [model])
    assert (nothing.n, nothing.seen_in_training, model.clips) == (0, 6, [])
    assert nothing.accuracy is nothing.uar is nothing.ece is None
    assert json.loads(json.dumps(nothing.to_dict()))["accuracy"] is None
    assert robustness_table(corpus, [model]).rows == ()


def test_a_perturbed_training_clip_is_still_a_training_clip(corpus: Corpus) -> None:
    model = FakeClassifier(heard=digests(corpus))
    report = score(corpus, [model], lambda samples, rate, rng: samples * np.float32(0.5))
    assert report.seen_in_training == 6


def test_labels_that_the_model_does_not_know_are_named(corpus: Corpus, tmp_path: Path) -> None:
    more = [Utterance(tmp_path / "0.wav", "bored"), Utterance(tmp_path / "no.wav", "bored")]
    report = score(Corpus("made", (*corpus.utterances, *more)), [FakeClassifier()])
    assert report.unknown_labels == {"bored": 2}
    assert (report.n, report.clips) == (6, 8)


def test_a_bad_file_does_not_stop_it(corpus: Corpus, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    gone = tmp_path / "gone.wav"
    files = (Utterance(bad, "low"), Utterance(gone, "low"), *corpus.utterances)
    report = score(Corpus("made", files), [FakeClassifier()])
    assert [failure.path for failure in report.failures] == [str(bad), str(gone)]
    assert all(failure.message for failure in report.failures)
    assert (report.n, report.clips) == (6, 8)


def test_progress_counts_every_clip(corpus: Corpus) -> None:
    seen: list[tuple[int, int]] = []
    score(corpus, [FakeClassifier()], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


def test_chance_hangs_on_the_seed_and_the_clip_alone(corpus: Corpus) -> None:
    def noisy(samples: NDArray, rate: int, rng: np.random.Generator) -> NDArray:
        return rng.standard_normal(len(samples)).astype(np.float32)

    def heard(order: Sequence[Utterance], seed: int) -> dict[str, bytes]:
        model = FakeClassifier()
        score(Corpus("made", tuple(order)), [model], noisy, seed=seed)
        return {
            str(u.path): clip.samples.tobytes() for u, clip in zip(order, model.clips, strict=True)
        }

    there = heard(corpus.utterances, 1)
    assert heard(corpus.utterances[::-1], 1) == there
    assert heard(corpus.utterances, 2) != there
    assert len(set(there.values())) == 6


def test_a_pick_of_ones_own(corpus: Corpus) -> None:
    names = digests(corpus)
    models = {names[0]: FakeClassifier("a"), names[5]: FakeClassifier("b")}
    report = evaluate(models.get, corpus, LABELS)  # type: ignore[arg-type]
    assert [(m.name, m.n) for m in report.models] == [("a", 1), ("b", 1)]
    assert report.seen_in_training == 4


def test_models_must_agree_on_the_labels(corpus: Corpus) -> None:
    other = FakeClassifier()
    other.card.labels = LABELS[::-1]
    for models in ([FakeClassifier(), other], []):
        with pytest.raises(UsageError, match="the same labels"):
            score(corpus, models)


def test_the_robustness_table(corpus: Corpus) -> None:
    seen: list[tuple[int, int]] = []
    hum = (np.sin(np.arange(RATE) / 10).astype(np.float32), RATE)
    table = robustness_table(
        corpus, [FakeClassifier()], [hum], progress=lambda *at: seen.append(at)
    )
    assert [row.name for row in table.rows][:2] == ["clean", "gain -12 dB"]
    assert len(table.rows) == 18
    assert seen == [(n, 108) for n in range(1, 109)]
    rows = {row.name: row for row in table.rows}
    assert rows["gain +12 dB"].share_of_clean_uar == 1.0
    assert json.loads(json.dumps(table.to_dict()))["rows"][0]["name"] == "clean"
    assert (rows["gain +6 dB"].accuracy, rows["gain +6 dB"].uar) == pytest.approx((5 / 6, 5 / 6))


def test_a_perturbation_that_confuses_the_model_shows(corpus: Corpus) -> None:
    rows = {row.name: row for row in robustness_table(corpus, [FakeClassifier()]).rows}
    shares = {name: row.share_of_clean_uar for name, row in rows.items()}
    assert shares["white noise 30 dB"] == 1.0
    quiet = [Utterance(u.path, u.label) for u in corpus.utterances]
    for utterance in quiet:
        samples, rate = soundfile.read(utterance.path)
        soundfile.write(utterance.path, samples * 1e-3, rate)
    rows = {row.name: row for row in robustness_table(corpus, [FakeClassifier()]).rows}
    assert rows["self-noise -60 dBFS"].share_of_clean_uar < 0.7


def test_rows_share_nothing_where_nothing_was_right(corpus: Corpus) -> None:
    wrong = Corpus("made", tuple(Utterance(u.path, "high") for u in corpus.utterances[:3]))
    rows = robustness_table(wrong, [FakeClassifier()]).rows[1:]
    assert {row.share_of_clean_uar for row in rows} == {0.0}


def test_the_spread_over_models(corpus: Corpus) -> None:
    names = digests(corpus)
    models = [FakeClassifier("a", names[3:]), FakeClassifier("b", names[:3])]
    values = score(corpus, models).to_dict()
    assert values["models"][0] == {"name": "a", "n": 3, "accuracy": 1.0, "uar": 1.0}
    assert values["accuracy_over_models"] == pytest.approx({"mean": 5 / 6, "std": 0.2357}, abs=1e-4)


def test_a_report_is_json(corpus: Corpus) -> None:
    values = json.loads(json.dumps(score(corpus, [FakeClassifier()]).to_dict()))
    assert values["clips"] == 6
    assert values["confusion"] == [[3, 0], [1, 2]]
    assert values["models"][0]["name"] == "fake"


def test_the_spread_of_one_value_is_nought() -> None:
    assert spread([0.5]).std == 0


class Three(FakeClassifier):
    """A model of a label more than the corpus has, which it finds likeliest."""

    def __init__(self) -> None:
        super().__init__("three")
        self.card = Card("three", ("low", "odd", "high"))

    def scores(self, clip: Clip) -> NDArray[np.float64]:
        low, high = super().scores(clip)
        return np.array([0.4 * low, 0.6, 0.4 * high])


def test_among_the_labels_of_the_corpus(corpus: Corpus) -> None:
    free = score(corpus, [Three()])
    assert free.accuracy == 0 and free.confusion == ((0, 3, 0), (0, 0, 0), (0, 3, 0))
    among, plain = score(corpus, [Three()], own_labels=True), score(corpus, [FakeClassifier()])
    assert among.labels == ("low", "odd", "high")
    assert among.confusion == ((3, 0, 0), (0, 0, 0), (1, 0, 2))
    # The scores of what is left sum to 1 again: they are as sure as those of two labels.
    assert (among.accuracy, among.uar) == (plain.accuracy, plain.uar)
    assert among.ece == pytest.approx(plain.ece)
    assert among.negative_log_likelihood == pytest.approx(plain.negative_log_likelihood)


def test_own_labels_of_a_corpus_that_has_all_change_nothing(corpus: Corpus) -> None:
    plain, among = (score(corpus, [FakeClassifier()], own_labels=own) for own in (False, True))
    assert plain == among


def test_a_clip_of_a_label_outside_is_counted_with_own_labels_too(corpus: Corpus) -> None:
    odd = Corpus("made", (*corpus.utterances, replace(corpus.utterances[0], label="strange")))
    report = score(odd, [Three()], own_labels=True)
    assert report.unknown_labels == {"strange": 1} and report.n == 6
    assert report.accuracy == pytest.approx(5 / 6)


def test_robustness_among_own_labels(corpus: Corpus) -> None:
    free = robustness_table(corpus, [Three()])
    among = robustness_table(corpus, [Three()], own_labels=True)
    assert free.rows[0].accuracy == 0
    assert among.rows[0].accuracy == pytest.approx(5 / 6)
    assert all(row.accuracy > 0.5 for row in among.rows if row.name.startswith("gain"))
