"""`Profile`: how one person at one microphone sounds, without a label, taken off the features.

Much of what tells one clip from another is who speaks, and at which microphone. The mean of a few
clips of that person, shrunk towards the population that the model was trained on, is an estimate of
it; see `edge_ser.card.Population` for the share that is believed, and docs/experiments.md for what
it brings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard, Population
from edge_ser.card.documents import strict_json
from edge_ser.card.numbers import encoded, floats
from edge_ser.card.population import LARGEST
from edge_ser.documents import regular_contents, shown
from edge_ser.errors import CardError, ConfigError, ModelError

__all__ = [
    "Profile",
    "believed",
    "known_population",
    "offset_of",
    "profile_of",
    "profile_text",
    "profile_with",
    "read_profile",
]

Features = NDArray[np.float32]

MAX_BYTES = 1 << 20
MAX_CLIPS = 1_000_000
MAX_SECONDS = 1e9
MEMORY = 30
"""Clips that a profile which follows a speaker is the mean of, the latest weighing most."""
KIND = "edge_ser_profile"
VERSION = 1


@dataclass(frozen=True)
class Profile:
    """The mean of one person's clips."""

    frontend: str
    """Digest of the frontend that made the features."""
    clips: int
    """How many clips the mean is of."""
    seconds: float
    """Speech in them, as far as known."""
    mean: str
    """Base64 of little-endian float32: the mean of each value of the features."""


def profile_of(card: ModelCard, features: Sequence[Features], seconds: float) -> Profile:
    """The profile of a person's clips.

    Args:
        card: of the model.
        features: of each clip, by the card's frontend; one at least.
        seconds: length of the clips together.

    Raises:
        ModelError: the model has no population to weigh a profile against.
    """
    known_population(card)
    if not features:
        raise ConfigError("a profile of no clips, expected one clip at least")
    mean = np.mean([np.asarray(each, dtype=np.float64).ravel() for each in features], axis=0)
    return Profile(
        card.frontend[0].digest(), len(features), round(seconds, 3), encoded(mean.tolist())
    )


def profile_with(
    card: ModelCard, profile: Profile | None, features: Features, seconds: float
) -> Profile:
    """The profile after one more clip, which for ever makes at least a thirtieth of it.

    A profile of more clips than that is worth as many fewer as the weight of the new one blots out:
    it tells as much as a mean of so many does.

    Args:
        card: of the model.
        profile: of the clips before; None without any.
        features: of the clip, by the card's frontend.
        seconds: its length.

    Raises:
        ModelError: the model has no population to weigh a profile against.
    """
    one = profile_of(card, [features], seconds)
    if profile is None:
        return one
    weight = 1 / min(profile.clips + 1, MEMORY)
    mean = np.array(floats("mean", profile.mean))
    mean += (np.asarray(features, dtype=np.float64).ravel() - mean) * weight
    # The variance of the mean, in those of a clip, is the inverse of how many clips it is worth.
    worth = 1 / ((1 - weight) ** 2 / profile.clips + weight**2)
    clips = profile.clips + 1 if profile.clips < MEMORY else min(profile.clips, int(worth))
    return Profile(one.frontend, clips, round(profile.seconds + seconds, 3), encoded(mean.tolist()))


def offset_of(card: ModelCard, profile: Profile) -> Features:
    """What is taken off the features of this person's clips, shape as one clip's features.

    Raises:
        ModelError: the model has no population, or another frontend than the profile.
    """
    population = known_population(card)
    if profile.frontend != card.frontend[0].digest():
        raise ModelError(
            f"the profile is of another frontend than {card.name}'s, expected one made with this "
            "model: edge-ser adapt MODEL FOLDER --unlabelled"
        )
    mean = np.array(floats("mean", profile.mean))
    typical = np.array(population.means())
    if mean.shape != typical.shape:
        raise ModelError(f"the profile has {len(mean)} values, expected {len(typical)}")
    shape = card.frontend[0].shape(card.input.clip_samples)
    shift = believed(population, profile.clips) * (mean - typical)
    offset: Features = np.asarray(shift, dtype=np.float32)
    return offset.reshape(shape)


def believed(population: Population, clips: int) -> NDArray[np.float64]:
    """The share of a speaker's own mean that so many clips earn, of each value: 0 to 1."""
    share: NDArray[np.float64] = clips / (clips + np.array(population.doubts(), dtype=np.float64))
    return share


def known_population(card: ModelCard) -> Population:
    """What the card weighs a profile against.

    Raises:
        ModelError: it has no population.
    """
    if card.population is not None:
        return card.population
    if card.frontend[0].kind == "functionals":
        raise ModelError(
            f"{card.name} knows nothing of how speakers differ: its training did not tell three "
            "speakers apart; train it on clips that name their speakers, such as a manifest with "
            "a column speaker, or take emotion-emodb"
        )
    raise ModelError(
        f"{card.name} knows nothing of how speakers differ, expected a model of functionals such "
        "as emotion-emodb; profiles are of no use to others"
    )


def profile_text(profile: Profile) -> str:
    """A profile as a file holds it: one JSON object."""
    return json.dumps({KIND: VERSION, **asdict(profile)}, indent=1) + "\n"


def read_profile(path: Path) -> Profile:
    """A file with what `profile_text` gave.

    Raises:
        ConfigError: there is no such file, or it is none.
    """
    try:
        return _profile(strict_json(regular_contents(path, MAX_BYTES)))
    except (OSError, ValueError, CardError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path}: {why}; expected a profile by 'edge-ser adapt MODEL FOLDER --unlabelled'"
        ) from error


def _profile(values: object) -> Profile:
    if not isinstance(values, dict) or values.get(KIND) != VERSION:
        raise ValueError(f"no {KIND} of version {VERSION}")
    wanted = {KIND, *(field.name for field in fields(Profile))}
    if values.keys() != wanted:
        raise ValueError(
            f"it has {shown(', '.join(sorted(values)))}, expected {', '.join(sorted(wanted))}"
        )
    clips, seconds = values["clips"], values["seconds"]
    frontend, mean = values["frontend"], values["mean"]
    if type(clips) is not int or not 1 <= clips <= MAX_CLIPS:
        raise ValueError(f"clips is {shown(clips)}, expected 1 to {MAX_CLIPS}")
    if type(seconds) not in (int, float) or not 0 <= seconds < MAX_SECONDS:
        raise ValueError(f"seconds is {shown(seconds)}, expected 0 or more")
    if not isinstance(frontend, str) or not isinstance(mean, str):
        raise ValueError("frontend and mean have to be text")
    if max(map(abs, floats("mean", mean)), default=0.0) > LARGEST:
        raise ValueError(f"mean has a number beyond {LARGEST:g}, which no feature has")
    return Profile(frontend, clips, seconds, mean)
