"""`adapt`: from a model and labelled clips to a verified model file."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.adaptation.cards import Told, adapted_card, signal_features
from edge_ser.adaptation.fitting import L2, Layer, answers, fit, left_out
from edge_ser.audio import read_clip
from edge_ser.card import ModelCard, ModelFile, naming, read_model, write_model
from edge_ser.card.checks import check_label
from edge_ser.classifier import Classifier, Outputs
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import AudioError, CardError, DataError, ModelError, StorageError, UsageError
from edge_ser.evaluation import Failure
from edge_ser.runtime import open_model
from edge_ser.verification import verify
from edge_ser.zoo import find_model

__all__ = ["Adapted", "Figures", "adapt", "starting_layer"]

FEWEST_LABELS = 2
FEWEST_CLIPS = 2
"""Of a label: one to fit on while the other is left out."""
STRENGTHS = (1e-6, 1e6)
"""Least and most of l2."""

Progress = Callable[[int, int], None]
"""Told how many clips are done, and of how many."""


@dataclass(frozen=True)
class Figures:
    """How often the label was right, from 0 to 1."""

    accuracy: float
    uar: float
    recalls: Mapping[str, float]
    """Of each label that has clips."""


@dataclass(frozen=True)
class Adapted:
    """An adapted model that was written and verified."""

    model: ModelFile
    clips: Mapping[str, int]
    """How many of each label were learnt from."""
    failures: tuple[Failure, ...]
    """Recordings that could not be read."""
    seen: int
    """Clips that the model was trained on before: its answers to those prove nothing."""
    before: Figures | None
    """The model's own answers on the clips; None for labels that it does not have."""
    after: Figures
    """An estimate: each clip answered by a layer that was fitted without it."""


@dataclass(frozen=True, eq=False)
class _Heard:
    """The clips that could be read."""

    values: NDArray[np.float64]
    """What a head takes, shape (n, values)."""
    labels: tuple[str, ...]
    digests: tuple[str, ...]
    failures: tuple[Failure, ...]


def adapt(
    model: str | Path | None,
    corpus: Corpus,
    output: str | Path,
    l2: float = L2,
    only: bool = False,
    progress: Progress = lambda done, of: None,
) -> Adapted:
    """Fit a new last layer on labelled clips, and write the model with it.

    Where all labels of the clips are the model's, its present answers are the start: the file has
    the model's labels, in its order, and those without clips stay as they are. Otherwise it has
    the labels of the clips, sorted, learnt from these alone.

    Args:
        model: a file with an embedding, or an installed model's name; None is the default model.
        corpus: labelled clips, a few of each label; a clip longer than the model's is cropped.
        output: file to write, of the model's kind; it appears when it is complete and verified.
        l2: how hard the layer is drawn to the start; see `edge_ser.adaptation.fitting`.
        only: leave out labels of the model that have no clips.
        progress: called after every clip.

    Raises:
        DataError: fewer than two labels, or a label with fewer than two clips that can be read.
        ModelError: the model has no embedding, was never trained, or is damaged.
        UsageError: `output` ends otherwise than the model's kind, or `l2` is out of range.
        StorageError: the file cannot be written.
    """
    output = Path(output)
    file = read_model(find_model(model))
    _refuse(file, output, l2)
    _refuse_names(corpus)
    _refuse_few([utterance.label for utterance in corpus.utterances], corpus)
    interpreter = open_model(file.payload)
    classifier = Classifier(file, interpreter)
    with naming(file.path):
        outputs = Outputs(file.card, interpreter)
        signal = interpreter.run(signal_features(file.card, classifier.frontends))
        taken, free = outputs.head_values(signal).size, outputs.embedding(signal).size
    labels, start = starting_layer(file.card, corpus.labels, taken, only)
    heard = _heard(classifier, corpus.utterances, progress)
    _refuse_few(heard.labels, corpus, heard.failures)
    targets = np.array([labels.index(label) for label in heard.labels])
    layer = fit(heard.values, targets, start, free, l2)
    left = left_out(heard.values, targets, start, free, l2)
    after = _figures(targets, left, labels)
    known = set(corpus.labels) <= set(file.card.labels)
    before = _figures(targets, answers(start, heard.values), labels) if known else None
    told = Told(
        clips=dict(sorted(Counter(heard.labels).items())),
        digests=heard.digests,
        speakers=tuple(sorted({u.speaker for u in corpus.utterances if u.speaker})),
        accuracy=after.accuracy,
        uar=after.uar,
        confidences=left.max(axis=1),
    )
    card = adapted_card(file.card, labels, layer, told, interpreter, signal)
    made = _written(output, file.payload, card)
    seen = len(set(file.card.provenance.training_clips) & set(heard.digests))
    return Adapted(made, told.clips, heard.failures, seen, before, after)


def starting_layer(
    card: ModelCard, wanted: Sequence[str], values: int, only: bool = False
) -> tuple[tuple[str, ...], Layer]:
    """The labels of the adapted model, and the layer that gives the model's present answers.

    Args:
        card: the model's.
        wanted: the labels of the clips.
        values: how many a head of this model takes.
        only: leave out labels of the model that are not wanted.

    Returns:
        All zeros for a layer where a label is not the model's.
    """
    if not set(wanted) <= set(card.labels):
        labels = tuple(sorted(set(wanted)))
        return labels, Layer(np.zeros((len(labels), values)), np.zeros(len(labels)))
    rows = [at for at, label in enumerate(card.labels) if not only or label in wanted]
    if card.head is None:
        weights = np.eye(len(card.labels), values, values - len(card.labels))
        bias = np.zeros(len(card.labels))
    else:
        weights, bias = np.array(card.head.rows()), np.array(card.head.biases())
    present = Layer(weights[rows] / card.output.temperature, bias[rows] / card.output.temperature)
    return tuple(card.labels[row] for row in rows), present


def _refuse(file: ModelFile, output: Path, l2: float) -> None:
    """Refuse what can be seen before a clip is heard."""
    if not STRENGTHS[0] <= l2 <= STRENGTHS[1]:
        raise UsageError(f"l2 is {l2:g}, expected {STRENGTHS[0]:g} to {STRENGTHS[1]:g}")
    if file.card.provenance.state == "untrained":
        raise ModelError(
            f"{file.path}: these weights were never trained, expected a trained model: name one"
        )
    if output.suffix.lower() != f".{file.kind}":
        raise UsageError(
            f"{output}: expected a name that ends in .{file.kind}, as {file.path.name} is: the "
            "graph stays as it is"
        )
    if not output.parent.is_dir():
        raise StorageError(f"{output}: no such folder: make it, or choose another place")
    if output.exists() and not output.is_file():
        raise UsageError(f"{output}: is there and no file, expected a new name or a model's")


def _refuse_names(corpus: Corpus) -> None:
    """Raise DataError for a label that a card cannot have."""
    for label in corpus.labels:
        try:
            check_label(label)
        except CardError as error:
            said = str(error).removeprefix("card: ").partition(";")[0]
            raise DataError(f"{corpus.name}: {said}: rename its folder, or the label") from error


def _refuse_few(labels: Sequence[str], corpus: Corpus, failures: Sequence[Failure] = ()) -> None:
    """Raise DataError for too few labels, or a label of too few clips."""
    found = Counter(labels)
    counts = {label: found[label] for label in corpus.labels}
    lost = f" ({len(failures)} could not be read: {failures[0].message})" if failures else ""
    if len(counts) < FEWEST_LABELS:
        raise DataError(
            f"{corpus.name}: clips of {len(counts)} label, expected {FEWEST_LABELS} labels or "
            "more: make a folder for each"
        )
    label, least = min(counts.items(), key=lambda item: item[1])
    if least < FEWEST_CLIPS:
        raise DataError(
            f"{corpus.name}: {least} clips of {label!r}{lost}, expected {FEWEST_CLIPS} or more of "
            "each label: record more, or leave the label out"
        )


def _heard(classifier: Classifier, utterances: Sequence[Utterance], progress: Progress) -> _Heard:
    """What a head takes of each clip that can be read."""
    rows: list[tuple[NDArray[np.float64], str, str]] = []
    failures: list[Failure] = []
    for done, utterance in enumerate(utterances, 1):
        try:
            clip = read_clip(utterance.path)
            rows.append((classifier.head_values(clip), utterance.label, clip.digest()))
        except AudioError as error:
            failures.append(Failure(str(utterance.path), str(error)))
        progress(done, len(utterances))
    values, labels, digests = zip(*rows, strict=True) if rows else ((), (), ())
    return _Heard(np.array(values), labels, digests, tuple(failures))


def _figures(
    targets: NDArray[np.int64], scores: NDArray[np.float64], labels: Sequence[str]
) -> Figures:
    guess = scores.argmax(axis=1)
    right = guess == targets
    return Figures(
        metrics.accuracy(targets, guess),
        metrics.uar(targets, guess),
        {labels[at]: float(right[targets == at].mean()) for at in np.unique(targets)},
    )


def _written(output: Path, payload: bytes, card: ModelCard) -> ModelFile:
    """The file, written beside its place, verified, and put there.

    Raises:
        ModelError: what was written does not compute what the fit computed.
        StorageError: it cannot be written.
    """
    part = output.with_name(f".{secrets.token_hex(4)}{output.suffix}")
    try:
        write_model(part, payload, card)
        result = verify(part)
        bad = next(
            (stage for stage in result.stages if stage.status in ("failed", "not run")), None
        )
        if bad is not None:
            raise ModelError(
                f"{output}: the adapted model does not verify ({bad.stage}: {bad.detail}): "
                "run 'edge-ser verify' on the model that was given"
            )
        os.replace(part, output)
    except StorageError as error:
        # It names the part, which nobody asked for.
        raise StorageError(str(error).replace(str(part), str(output))) from error
    except OSError as error:
        raise StorageError(
            f"{output}: cannot be written ({error.strerror}); choose another folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return read_model(output)
