"""Scoring a corpus with models that have not heard it.

A clip that a model was trained on proves nothing. So every clip goes to the first model whose card
does not list it, and one that all of them have heard is counted as seen in training, not scored.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.audio import Clip, read_clip
from edge_ser.corpora import Corpus
from edge_ser.errors import AudioError, UsageError
from edge_ser.evaluation.report import (
    CoveragePoint,
    Failure,
    ModelResult,
    ReliabilityBin,
    Report,
    Robustness,
    RobustnessRow,
    Spread,
)
from edge_ser.perturb import Noise, Perturbation, perturbations

if TYPE_CHECKING:
    from edge_ser.classifier import Classifier

__all__ = ["Pick", "Progress", "evaluate", "robustness_table", "score"]

Pick = Callable[[str], "Classifier | None"]
"""From a clip's digest to a model that has not heard it; None if there is none."""

Progress = Callable[[int, int], None]
"""Told how many clips are done, and of how many."""

SEED = 42


def _silent(done: int, total: int) -> None:
    """Progress for nobody."""


def score(
    corpus: Corpus,
    models: Sequence[Classifier],
    perturbation: Perturbation | None = None,
    *,
    own_labels: bool = False,
    seed: int = SEED,
    progress: Progress = _silent,
) -> Report:
    """Score every clip with the first of the models that was not trained on it.

    Raises:
        UsageError: no models, or models whose labels differ.
    """
    return evaluate(
        _unheard(models),
        corpus,
        _common_labels(models),
        perturbation,
        own_labels=own_labels,
        seed=seed,
        progress=progress,
    )


def evaluate(
    pick: Pick,
    corpus: Corpus,
    labels: Sequence[str],
    perturbation: Perturbation | None = None,
    *,
    own_labels: bool = False,
    seed: int = SEED,
    progress: Progress = _silent,
) -> Report:
    """Score a corpus, each clip with the model that `pick` names for its digest.

    Args:
        pick: see `Pick`; it is asked about the clip as decoded, before any perturbation.
        corpus: clips of labels that the models do not know are counted, not scored.
        labels: the models' labels, in the order of their scores.
        perturbation: what befalls every clip; its chance depends on `seed` and the clip alone.
        own_labels: the models answer among the labels that the corpus has, as those that know
            labels of several corpora do when they are compared with one of this corpus alone.
        seed: of the perturbation.
        progress: called after every clip.

    A recording that cannot be decoded becomes a failure of the report and stops nothing.
    """
    index = {label: at for at, label in enumerate(labels)}
    known = np.array([not own_labels or label in corpus.labels for label in labels])
    tally = _Tally()
    for done, utterance in enumerate(corpus.utterances, 1):
        if utterance.label not in index:
            tally.unknown[utterance.label] += 1
        else:
            try:
                clip = read_clip(utterance.path)
                digest = clip.digest()
                model = pick(digest)
                if model is None:
                    tally.seen += 1
                else:
                    heard = _perturbed(clip, digest, perturbation, seed)
                    scores = model.scores(heard)
                    if not known.all():
                        scores = metrics.among(scores[None], known)[0]
                    tally.add(index[utterance.label], scores, model)
            except AudioError as error:
                tally.failures.append(Failure(str(utterance.path), str(error)))
        progress(done, len(corpus.utterances))
    return tally.report(corpus.name, tuple(labels))


def robustness_table(
    corpus: Corpus,
    models: Sequence[Classifier],
    noise: Sequence[Noise] = (),
    *,
    own_labels: bool = False,
    seed: int = SEED,
    progress: Progress = _silent,
) -> Robustness:
    """Score the corpus clean and under every perturbation of `perturb.perturbations(noise)`.

    Raises:
        UsageError: no models, or models whose labels differ.
        DataError: a recording of noise is silent.
    """
    table = perturbations(noise)
    clips = len(corpus.utterances)
    total = clips * (1 + len(table))
    clean = score(
        corpus, models, own_labels=own_labels, progress=lambda done, _: progress(done, total)
    )
    if clean.accuracy is None or clean.uar is None:
        return Robustness(clean, ())
    rows = [_row("clean", clean, clean)]
    for row, (name, perturbation) in enumerate(table.items(), 1):
        report = score(
            corpus,
            models,
            perturbation,
            own_labels=own_labels,
            seed=seed ^ zlib.crc32(name.encode()),
            progress=lambda done, _, before=row * clips: progress(before + done, total),  # type: ignore[misc]
        )
        rows.append(_row(name, report, clean))
    return Robustness(clean, tuple(row for row in rows if row))


def _row(name: str, report: Report, clean: Report) -> RobustnessRow | None:
    if report.accuracy is None or report.uar is None:
        return None
    share = report.uar / clean.uar if clean.uar else float(report is clean)
    return RobustnessRow(name, report.accuracy, report.uar, share, report.ece, report.chance_ece)


@dataclass
class _Tally:
    """Scores as they come in."""

    true: list[int] = field(default_factory=list)
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    scored_by: list[Classifier] = field(default_factory=list)
    seen: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, true: int, scores: NDArray[np.float64], model: Classifier) -> None:
        """One scored clip."""
        self.true.append(true)
        self.scores.append(scores)
        self.scored_by.append(model)

    def report(self, corpus: str, labels: tuple[str, ...]) -> Report:
        """The figures over all that came in."""
        unknown = dict(sorted(self.unknown.items()))
        failures = tuple(self.failures)
        if not self.true:
            return Report(corpus, labels, 0, self.seen, unknown, failures)
        scores, true = np.array(self.scores), np.array(self.true)
        predicted = scores.argmax(axis=1)
        counts = metrics.confusion(true, predicted, len(labels))
        calibrated = metrics.calibrated_oracle_share(scores, 0.8)
        return Report(
            corpus=corpus,
            labels=labels,
            n=len(true),
            seen_in_training=self.seen,
            unknown_labels=unknown,
            failures=failures,
            accuracy=metrics.accuracy(true, predicted),
            uar=metrics.uar(true, predicted),
            ece=metrics.expected_calibration_error(scores, true),
            chance_ece=metrics.chance_calibration_error(scores),
            accuracy_at_80=metrics.accuracy_at_coverage(scores, true, 0.8),
            oracle_share_at_80=metrics.oracle_share(scores, true, 0.8),
            calibrated_share_at_80=Spread(*calibrated) if calibrated else None,
            negative_log_likelihood=metrics.negative_log_likelihood(scores, true),
            reliability=_reliability(scores, true),
            risk_coverage=_risk_coverage(scores, true),
            confusion=tuple(tuple(row) for row in counts.tolist()),
            models=self._by_model(true, predicted),
        )

    def _by_model(
        self, true: NDArray[np.int64], predicted: NDArray[np.int64]
    ) -> tuple[ModelResult, ...]:
        """Figures of each model, in the order of their first clips."""
        models = {id(model): model for model in self.scored_by}
        mine = np.array([id(model) for model in self.scored_by])
        results = []
        for key, name in zip(models, _told_apart(list(models.values())), strict=True):
            at = mine == key
            results.append(
                ModelResult(
                    name,
                    int(at.sum()),
                    metrics.accuracy(true[at], predicted[at]),
                    metrics.uar(true[at], predicted[at]),
                )
            )
        return tuple(results)


def _told_apart(models: Sequence[Classifier]) -> list[str]:
    """Names of models: the card's, the file's where cards are called alike, as those of folds are,
    and with a number where these are alike, too."""
    of_cards = Counter(model.card.name for model in models)
    names = [m.card.name if of_cards[m.card.name] == 1 else m.path.stem for m in models]
    met = Counter(names)
    return [f"{name} ({number})" if met[name] > 1 else name for number, name in enumerate(names, 1)]


def _reliability(
    scores: NDArray[np.float64], true: NDArray[np.int64]
) -> tuple[ReliabilityBin, ...]:
    clips, confidence, accuracy = (of.tolist() for of in metrics.reliability(scores, true))
    bins = zip(clips, confidence, accuracy, strict=True)
    return tuple(ReliabilityBin(*each) for each in bins if each[0])


def _risk_coverage(
    scores: NDArray[np.float64], true: NDArray[np.int64]
) -> tuple[CoveragePoint, ...]:
    return tuple(
        CoveragePoint(
            coverage,
            metrics.accuracy_at_coverage(scores, true, coverage),
            metrics.confidence_at_coverage(scores, coverage),
        )
        for coverage in (twentieths / 20 for twentieths in range(1, 21))
    )


def _unheard(models: Sequence[Classifier]) -> Pick:
    heard = [(model, frozenset(model.card.provenance.training_clips)) for model in models]
    return lambda digest: next((model for model, clips in heard if digest not in clips), None)


def _common_labels(models: Sequence[Classifier]) -> tuple[str, ...]:
    kinds = {tuple(model.card.labels) for model in models}
    if len(kinds) != 1:
        shown = "; ".join(sorted(", ".join(labels) for labels in kinds)) or "no model"
        raise UsageError(f"{shown}: expected models of the same labels in the same order")
    return kinds.pop()


def _perturbed(clip: Clip, digest: str, perturbation: Perturbation | None, seed: int) -> Clip:
    if perturbation is None:
        return clip
    rng = np.random.default_rng([seed, int(digest, 16)])
    return Clip(perturbation(clip.samples, clip.rate, rng), clip.rate)
