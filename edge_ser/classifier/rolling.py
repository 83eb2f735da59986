"""`RollingClassifier`: windows of a stream that overlap, each frame transformed once."""

from __future__ import annotations

from edge_ser.audio import level_gain
from edge_ser.audio.clip import Samples
from edge_ser.classifier.model import Classifier
from edge_ser.classifier.prediction import Prediction, Stopwatch
from edge_ser.frontend import RollingFrontend

__all__ = ["RollingClassifier"]


class RollingClassifier:
    """`Classifier.predict` for windows: the same results, with the frames of the last window kept.

    A model that wants a level is given each window with a gain of its own, and then none is kept.
    Serves one thread at a time.
    """

    def __init__(self, model: Classifier, window: int) -> None:
        """For windows of `window` samples at the model's rate."""
        wanted = model.card.input
        self._model = model
        self._frontends = [
            RollingFrontend(frontend, wanted.clip_samples, window, wanted.pad_side)
            for frontend in model.frontends
        ]
        self._run = 0

    def __call__(self, window: Samples, start: int, run: int) -> Prediction:
        """Classify a window.

        Args:
            window: mono float32 at the model's rate, of the length that was agreed.
            start: position of its first sample in the stream.
            run: number of the unbroken stretch of the stream: nothing is kept over a gap.
        """
        watch = Stopwatch()
        if run != self._run:
            for frontend in self._frontends:
                frontend.reset()
            self._run = run
        wanted = self._model.card.input
        gain_db = 0.0 if wanted.level_dbfs is None else level_gain(window, wanted.level_dbfs)
        gain = 10 ** (gain_db / 20)
        features = [frontend(window, start, gain) for frontend in self._frontends]
        watch.lap("frontend")
        return self._model.predict_features(features, len(window) / wanted.rate, gain_db, watch)
