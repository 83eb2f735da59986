"""Corpora whose file names carry the labels: EMO-DB, RAVDESS, EMOVO and Speech Commands.

The label names are the same over all corpora of emotion: anger, boredom, calm, disgust, fear,
happiness, neutral, sadness, surprise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ser.corpora.utterances import Utterance, audio_files, refuse_twins
from edge_ser.errors import DataError

__all__ = [
    "EMODB_LABELS",
    "NAMED",
    "Named",
    "read_emodb",
    "read_emovo",
    "read_ravdess",
    "read_speech_commands",
    "speech_commands_split",
]

EMODB_LABELS = {
    "L": "boredom",
    "A": "fear",
    "E": "disgust",
    "F": "happiness",
    "T": "sadness",
    "W": "anger",
    "N": "neutral",
}
"""The sixth letter of a name, in the order of the published models' outputs."""

EMOVO_LABELS = {
    "dis": "disgust",
    "gio": "happiness",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}

RAVDESS_LABELS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}

RAVDESS_SONG = "02"
HELD_OUT_PERCENT = 10.0
HASH_RANGE = 2**27


@dataclass(frozen=True)
class Named:
    """A corpus that is recognised and labelled by its file names."""

    title: str
    pattern: re.Pattern[str]
    """Matches the whole stem of every file."""
    example: str
    utterance: Callable[[Path, re.Match[str]], Utterance | None]
    """None for a file that belongs to the corpus but is no speech to classify."""
    unique_parts: int = 1
    """How many names at the end of a path tell one recording from another."""

    def parse(self, path: Path) -> Utterance | None:
        """The utterance that a file's name tells; DataError for another corpus's name."""
        match = self.pattern.fullmatch(path.stem)
        if match is None:
            raise DataError(
                f"{path}: no file name of {self.title}, expected one like {self.example}.wav: "
                "move the file elsewhere"
            )
        return self.utterance(path, match)

    def read(self, folder: Path) -> list[Utterance]:
        """All utterances below a folder, sorted by path; folders named `_x` are passed over.

        Raises:
            DataError: no WAV or FLAC file, one with a foreign name, or a recording that is there
                twice.
        """
        paths = [
            path
            for path in audio_files(folder, (".wav", ".flac"))
            if not any(part.startswith("_") for part in path.relative_to(folder).parts[:-1])
        ]
        if not paths:
            raise DataError(
                f"{folder}: no WAV or FLAC files, expected those of {self.title}: "
                "give the folder that holds them"
            )
        refuse_twins(paths, self.unique_parts)
        return [u for u in map(self.parse, paths) if u is not None]


def _emodb(path: Path, name: re.Match[str]) -> Utterance:
    return Utterance(path, EMODB_LABELS[name["emotion"]], name["speaker"])


def _emovo(path: Path, name: re.Match[str]) -> Utterance:
    return Utterance(path, EMOVO_LABELS[name["emotion"]], name["speaker"])


def _ravdess(path: Path, name: re.Match[str]) -> Utterance | None:
    if name["channel"] == RAVDESS_SONG:
        return None
    return Utterance(path, RAVDESS_LABELS[name["emotion"]], name["speaker"])


def _speech_commands(path: Path, name: re.Match[str]) -> Utterance:
    speaker = name["speaker"]
    return Utterance(path, path.parent.name, speaker, speech_commands_split(speaker))


def speech_commands_split(speaker: str) -> str:
    """The data set's own rule: 10 % of the speakers' hashes validate and 10 % test.

    SHA-1 of the name before `_nohash_`, modulo 2^27, in percent of 2^27 - 1 (`which_set` in the
    README of the data set; Warden, arXiv:1804.03209). Returns train, val or test.

    >>> speech_commands_split("0135f3f2")
    'train'
    """
    digest = int(hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest(), 16)
    percent = digest % HASH_RANGE * (100.0 / (HASH_RANGE - 1))
    if percent < HELD_OUT_PERCENT:
        return "val"
    return "test" if percent < 2 * HELD_OUT_PERCENT else "train"


NAMED: Mapping[str, Named] = {
    "emodb": Named(
        "EMO-DB",
        re.compile(r"(?P<speaker>\d\d)[ab]\d\d(?P<emotion>[LAEFTWN])[a-z]"),
        "03a01Fa",
        _emodb,
    ),
    "ravdess": Named(
        "RAVDESS",
        re.compile(
            r"03-(?P<channel>0[12])-(?P<emotion>0[1-8])-0[12]-0[12]-0[12]-(?P<speaker>\d\d)"
        ),
        "03-01-05-01-02-01-12",
        _ravdess,
    ),
    "emovo": Named(
        "EMOVO",
        re.compile(r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<speaker>[fm]\d)-[a-z]\d+"),
        "dis-f1-b1",
        _emovo,
    ),
    "speech_commands": Named(
        "Speech Commands",
        re.compile(r"(?P<speaker>[0-9a-f]{8})_nohash_\d+"),
        "bed/0135f3f2_nohash_0",
        _speech_commands,
        unique_parts=2,
    ),
}


def read_emodb(folder: Path) -> list[Utterance]:
    """EMO-DB: `03a01Fa` is speaker 03, sentence a01, emotion F, version a."""
    return NAMED["emodb"].read(folder)


def read_ravdess(folder: Path) -> list[Utterance]:
    """RAVDESS: `03-01-EE-II-SS-RR-AA`, emotion EE by actor AA; songs (`03-02-`) are left out."""
    return NAMED["ravdess"].read(folder)


def read_emovo(folder: Path) -> list[Utterance]:
    """EMOVO: `dis-f1-b1` is disgust, speaker f1, sentence b1."""
    return NAMED["emovo"].read(folder)


def read_speech_commands(folder: Path) -> list[Utterance]:
    """Speech Commands: `WORD/SPEAKER_nohash_N`, split by the data set's rule.

    `_background_noise_` holds no words and is left out. For another split read a manifest.
    """
    return NAMED["speech_commands"].read(folder)
