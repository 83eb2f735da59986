"""`Classifier`: a clip goes in, a `Prediction` comes out. The whole path in one place."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Clip, RateConverter, Recording, fit, set_level
from edge_ser.audio.clip import Samples
from edge_ser.card import ModelCard, ModelFile, naming
from edge_ser.classifier.outputs import Outputs
from edge_ser.classifier.prediction import NO_SPEECH, Outcome, Prediction, Segment, Stopwatch
from edge_ser.classifier.profile import Profile, offset_of
from edge_ser.classifier.sources import Given, opened
from edge_ser.errors import EdgeSerError
from edge_ser.frontend import Frontend
from edge_ser.runtime import Interpreter
from edge_ser.segment import (
    CROP_LIMIT,
    EnergyGate,
    GateOptions,
    SegmentOptions,
    split_pieces,
)

__all__ = ["Classifier"]

Scores = NDArray[np.float64]

SCAN_SECONDS = 10


class Classifier:
    """A model file ready to classify. Threads may share it; its runtime does one clip at a time."""

    def __init__(
        self, model: ModelFile, interpreter: Interpreter, profile: Profile | None = None
    ) -> None:
        """Join a model file and what runs its payload; `load_model` does both.

        Args:
            model: the file, read.
            interpreter: of its payload.
            profile: of the person who is heard, by `profile_of` or `read_profile`.

        Raises:
            ModelError: the card does not fit the graph: outputs, labels or inputs; it recommends a
                gate that is out of range; or the profile is of another frontend.
        """
        self.card: ModelCard = model.card
        self.path = model.path
        self.profile = profile
        self._interpreter = interpreter
        self.frontends = tuple(Frontend(spec) for spec in self.card.frontend)
        with naming(model.path):
            self._outputs = Outputs(self.card, interpreter)
            self._offset = offset_of(self.card, profile) if profile else None
            self._gate = GateOptions.recommended(self.card.segmenting)
            self._overlap = SegmentOptions.recommended(self.card.segmenting).overlap

    @property
    def provider(self) -> str:
        """The compute provider that runs the graph."""
        return self._interpreter.provider

    @property
    def details(self) -> dict[str, object]:
        """Runtime, version, threads and what else the runtime tells."""
        return dict(self._interpreter.details)

    def __call__(self, source: Given, rate: int | None = None) -> Prediction:
        """Classify one recording.

        Args:
            source: a file's path, an open binary file, a `Clip`, or samples with their `rate`:
                shape (n,) or (n, channels), floating point in [-1, 1] or integers.
            rate: hertz; for samples only.

        Raises:
            AudioError: it cannot be decoded, or holds NaN or infinite samples.
            UsageError: samples without a rate, or a rate with something else.
            ModelError: the graph takes other features, or gives scores that are not finite.
        """
        watch = Stopwatch()
        with opened(source, rate) as recording:
            if recording.length > self._clip_length(recording.rate) * CROP_LIMIT:
                return self._classify_long(recording, watch)
            return self._classify_whole(recording, watch)

    def crop(self, source: Given, rate: int | None = None) -> Prediction:
        """Classify one recording as one clip: a long one is centre-cropped, as in training.

        Args:
            source: as for calling the model.
            rate: hertz; for samples only.

        Raises:
            AudioError: it cannot be decoded, or holds NaN or infinite samples.
            ModelError: the graph takes other features, or gives scores that are not finite.
        """
        watch = Stopwatch()
        with opened(source, rate) as recording:
            return self._classify_whole(recording, watch)

    def embed(self, source: Given, rate: int | None = None) -> NDArray[np.float32]:
        """What the network knows of one recording before it decides, for classifiers of your own.

        The recording is one clip, and `source` and `rate` are those of `crop`.

        Returns:
            The output that the card calls embedding, shape (values,).

        Raises:
            AudioError: it cannot be decoded, or holds NaN or infinite samples.
            ModelError: the model has no embedding, the graph takes other features, or gives
                values that are not finite.
        """
        with naming(self.path):
            return self._outputs.embedding(self._run(self.features(source, rate)))

    def head_values(self, source: Given, rate: int | None = None) -> NDArray[np.float64]:
        """What a card's head takes of one recording: see `Outputs.head_values`.

        The recording is one clip, and the errors are those of `embed`.
        """
        with naming(self.path):
            return self._outputs.head_values(self._run(self.features(source, rate)))

    def features(self, source: Given, rate: int | None = None) -> list[NDArray[np.float32]]:
        """What the frontends give of one recording, as one clip; no profile is taken off.

        `source` and `rate` are those of `crop`.

        Raises:
            AudioError: it cannot be decoded, or holds NaN or infinite samples.
        """
        watch = Stopwatch()
        with opened(source, rate) as recording:
            return self.features_of(self._converted(_whole(recording), watch), watch)[0]

    def classify_many(self, paths: Iterable[str | Path]) -> Iterator[Outcome]:
        """Classify files one after the other; one that fails does not stop the rest."""
        for path in paths:
            try:
                yield Outcome(str(path), prediction=self(path))
            except EdgeSerError as error:
                yield Outcome(str(path), error=error)

    def with_profile(self, profile: Profile) -> Classifier:
        """The same model, by the same runtime, for another person.

        Raises:
            ModelError: the model has no population, or another frontend than the profile.
        """
        other = copy.copy(self)
        with naming(self.path):
            other._offset = offset_of(self.card, profile)
        other.profile = profile
        return other

    def converter(self, rate: int) -> RateConverter:
        """What brings audio of `rate` hertz to the model's rate and bandwidth, at once or streamed.

        Raises:
            AudioError: a rate is out of range.
            DependencyError: soxr is needed and not installed.
        """
        wanted = self.card.input
        return RateConverter(
            rate, wanted.rate, wanted.source_bandwidth_hz, self.card.frontend[0].resampler
        )

    def predict(self, samples: Samples) -> Prediction:
        """Classify a stretch of what `converter` gave, as one clip: padded or centre-cropped.

        Args:
            samples: mono float32 at the model's rate, shape (n,), n > 0.
        """
        watch = Stopwatch()
        scores, gain = self._classify_samples(samples, watch)
        return self._prediction(scores, len(samples) / self.card.input.rate, gain, watch)

    def features_of(
        self, samples: Samples, watch: Stopwatch
    ) -> tuple[list[NDArray[np.float32]], float]:
        """The features of a stretch of what `converter` gave, as one clip, and the gain in dB.

        Args:
            samples: mono float32 at the model's rate, shape (n,), n > 0.
            watch: is charged with what they take.
        """
        wanted = self.card.input
        gain = 0.0
        if wanted.level_dbfs is not None:
            samples, gain = set_level(samples, wanted.level_dbfs)
        samples = fit(samples, wanted.clip_samples, wanted.pad_side)
        features = [frontend(samples) for frontend in self.frontends]
        watch.lap("frontend")
        return features, gain

    def predict_features(
        self, features: Sequence[NDArray[Any]], seconds: float, gain_db: float, watch: Stopwatch
    ) -> Prediction:
        """Classify features that were computed elsewhere, one array a block of the card.

        Args:
            features: as `frontends` give them.
            seconds: length of the audio that they were computed from.
            gain_db: what was added to it.
            watch: what they took is charged already.
        """
        scores = self._classify_features(features, watch)
        return self._prediction(scores, seconds, gain_db, watch)

    def scores(self, clip: Clip) -> Scores:
        """Calibrated scores of one clip, always centre-cropped, in the order of `card.labels`."""
        return self._classify_clip(clip, Stopwatch())[0]

    def _classify_whole(self, recording: Recording, watch: Stopwatch) -> Prediction:
        clip = _whole(recording)
        watch.lap("load")
        scores, gain = self._classify_clip(clip, watch)
        return self._prediction(scores, clip.seconds, gain, watch)

    def _classify_clip(self, clip: Clip, watch: Stopwatch) -> tuple[Scores, float]:
        """The path of one clip: samples to calibrated scores and the gain that was applied (dB)."""
        return self._classify_samples(self._converted(clip, watch), watch)

    def _converted(self, clip: Clip, watch: Stopwatch) -> Samples:
        samples = self.converter(clip.rate).process(clip.samples, last=True)
        watch.lap("resample")
        return samples

    def _classify_samples(self, samples: Samples, watch: Stopwatch) -> tuple[Scores, float]:
        """The path from samples at the model's rate on."""
        features, gain = self.features_of(samples, watch)
        return self._classify_features(features, watch), gain

    def _run(self, features: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The graph's outputs for features less what the profile says of the speaker."""
        if self._offset is not None:
            features = [features[0] - self._offset, *features[1:]]
        return self._interpreter.run(features)

    def _classify_features(self, features: Sequence[NDArray[Any]], watch: Stopwatch) -> Scores:
        """The path from features on."""
        with naming(self.path):
            outputs = self._run(features)
            watch.lap("model")
            scores = self._outputs.calibrated(outputs)
        watch.lap("post")
        return scores

    def _classify_long(self, recording: Recording, watch: Stopwatch) -> Prediction:
        """Cut by the speech gate, classify each piece, and weigh the pieces by their speech."""
        pieces = self.pieces(recording)
        watch.lap("load")
        found: list[tuple[Segment, Scores, float]] = []
        for start, end in pieces:
            clip = Clip(recording.read(start, end - start), recording.rate)
            watch.lap("load")
            scores, gain = self._classify_clip(clip, watch)
            segment = Segment(start / recording.rate, end / recording.rate, *self._named(scores))
            found.append((segment, scores, gain))
        seconds = recording.length / recording.rate
        if not found:
            silent = np.zeros(len(self.card.labels))
            return self._prediction(silent, seconds, 0.0, watch)
        weights = [segment.end_s - segment.start_s for segment, _, _ in found]
        scores = np.average([scores for _, scores, _ in found], axis=0, weights=weights)
        gain = float(np.average([gain for _, _, gain in found], weights=weights))
        segments = tuple(segment for segment, _, _ in found)
        return self._prediction(scores, seconds, gain, watch, segments)

    def pieces(self, recording: Recording) -> list[tuple[int, int]]:
        """(first sample, sample after the last) of the pieces to classify, as when listening.

        The recording is read twice, a block at a time: here nothing of it is kept.
        """
        gate = EnergyGate(recording.rate, self._gate)
        block = SCAN_SECONDS * recording.rate
        found = [
            boundary
            for start in range(0, recording.length, block)
            for boundary in gate.process(
                recording.read(start, min(block, recording.length - start))
            )
        ]
        found += gate.finish()
        longest = self._clip_length(recording.rate)
        return [
            piece
            for opening, closing in pairwise(found)
            if opening.opens
            for piece in split_pieces(opening.position, closing.position, longest, self._overlap)
        ]

    def _clip_length(self, rate: int) -> int:
        """Samples of the model's clip at another rate, at least one."""
        return max(1, self.card.input.clip_samples * rate // self.card.input.rate)

    def _named(self, scores: Scores) -> tuple[str, dict[str, float]]:
        labels = self.card.labels
        return labels[int(scores.argmax())], dict(zip(labels, map(float, scores), strict=True))

    def _prediction(
        self,
        scores: Scores,
        seconds: float,
        gain: float,
        watch: Stopwatch,
        segments: tuple[Segment, ...] = (),
    ) -> Prediction:
        label, named = self._named(scores)
        threshold = self.card.output.uncertain_below
        uncertain = threshold is not None and float(scores.max()) < threshold
        watch.lap("post")
        speech = bool(scores.any())
        return Prediction(
            label=label if speech else NO_SPEECH,
            scores=named,
            uncertain=uncertain and speech,
            seconds=seconds,
            gain_db=gain,
            timings=watch.total(),
            segments=segments,
        )


def _whole(recording: Recording) -> Clip:
    return Clip(recording.read(0, recording.length), recording.rate)
