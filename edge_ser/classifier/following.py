"""`FollowingClassifier`: learns on the run how its speaker sounds, without a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edge_ser.audio.clip import Samples
from edge_ser.card import naming
from edge_ser.classifier.model import Classifier
from edge_ser.classifier.prediction import Prediction, Stopwatch
from edge_ser.classifier.profile import known_population, profile_with

__all__ = ["FollowingClassifier"]


class FollowingClassifier:
    """`Classifier.predict` for the utterances of one person, each with the profile of those before.

    What the model is unsure of teaches nothing: it may be another's bark. Serves one thread at a
    time.
    """

    def __init__(self, model: Classifier) -> None:
        """Begin with the profile that the model has, or with none.

        Raises:
            ModelError: the model has no population to weigh a profile against.
        """
        with naming(model.path):
            known_population(model.card)
        self.model = model
        """With the profile of what was heard so far."""

    def __call__(self, samples: Samples) -> Prediction:
        """Classify an utterance, then learn from it.

        Args:
            samples: mono float32 at the model's rate, shape (n,), n > 0.
        """
        watch = Stopwatch()
        features, gain_db = self.model.features_of(samples, watch)
        seconds = len(samples) / self.model.card.input.rate
        return self.predict_features(features, seconds, gain_db, watch)

    def predict_features(
        self, features: Sequence[NDArray[Any]], seconds: float, gain_db: float, watch: Stopwatch
    ) -> Prediction:
        """The same of features that were computed elsewhere: see `Classifier.predict_features`."""
        model = self.model
        prediction = model.predict_features(features, seconds, gain_db, watch)
        if not prediction.uncertain:
            heard = profile_with(model.card, model.profile, features[0], seconds)
            self.model = model.with_profile(heard)
        return prediction
