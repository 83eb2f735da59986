"""A profile of one person at one microphone, of recordings without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser.audio import Clip, active_level, open_recording
from edge_ser.classifier import Classifier, Profile, known_population, profile_of
from edge_ser.errors import AudioError, DataError
from edge_ser.evaluation import Failure
from edge_ser.segment import CROP_LIMIT

__all__ = ["Heard", "profile_recordings"]

FAINTEST_DBFS = -70.0
"""Active level below which a short recording holds nobody's voice."""

LEAST_SECONDS = 1.0
"""Of speech in all; less is a word or a noise, and no voice's mean."""


@dataclass(frozen=True)
class Heard:
    """A profile, and what could not be heard."""

    profile: Profile
    failures: tuple[Failure, ...]


def profile_recordings(
    classifier: Classifier,
    paths: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Heard:
    """The mean of a person's clips; a long recording is cut into utterances by the speech gate.

    Args:
        classifier: of a model whose card has a population.
        paths: of recordings in which that person speaks, and hardly anybody else.
        progress: told how many recordings are done, and of how many.

    Raises:
        ModelError: the model has no population to weigh a profile against.
        DataError: less than a second was heard in all of them together.
    """
    known_population(classifier.card)
    features, seconds = [], 0.0
    failures = []
    for done, path in enumerate(paths, 1):
        try:
            for clip in _utterances(classifier, path):
                features.append(classifier.features(clip)[0])
                seconds += clip.seconds
        except AudioError as error:
            failures.append(Failure(str(path), str(error)))
        progress(done, len(paths))
    if round(seconds, 3) < LEAST_SECONDS:
        heard = f"{seconds:.2f} s of speech" if features else "no speech"
        of = "1 recording" if len(paths) == 1 else f"{len(paths)} recordings"
        lost = f" ({len(failures)} left out: {failures[0].message})" if failures else ""
        raise DataError(
            f"{heard} in {of}{lost}, expected {LEAST_SECONDS:g} s or more: give a folder of WAV or "
            "FLAC files in which one person speaks"
        )
    return Heard(profile_of(classifier.card, features, seconds), tuple(failures))


def _utterances(classifier: Classifier, path: Path) -> Iterator[Clip]:
    """The recording, or the pieces of it that the gate takes for speech where it is long."""
    with open_recording(path) as recording:
        longest = CROP_LIMIT * classifier.card.input.clip_samples / classifier.card.input.rate
        if recording.length <= longest * recording.rate:
            clip = Clip(recording.read(0, recording.length), recording.rate)
            if active_level(clip.samples) < FAINTEST_DBFS:
                raise AudioError(f"{path}: no speech in it: record it louder, or leave it out")
            yield clip
            return
        for start, end in classifier.pieces(recording):
            yield Clip(recording.read(start, end - start), recording.rate)
