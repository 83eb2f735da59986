"""IEMOCAP as its licence holders receive it: `Session1/` ... `Session5/`."""

from __future__ import annotations

import re
from pathlib import Path

from edge_ser.corpora.utterances import Utterance
from edge_ser.errors import DataError

__all__ = ["IEMOCAP_LABELS", "evaluations", "read_iemocap"]

IEMOCAP_LABELS = {
    "ang": "anger",
    "neu": "neutral",
    "sad": "sadness",
    "hap": "happiness",
    "exc": "happiness",
}
"""The four classes of the field's usual protocol: happy and excited are one."""

MAX_BYTES = 1 << 20
TURN = re.compile(
    r"^\[\d+\.\d+ - \d+\.\d+\]\t"
    r"(?P<turn>(?P<dialogue>Ses\d\d[FM]_\w+)_(?P<gender>[FM])\w+)\t(?P<emotion>\w+)\t",
    re.MULTILINE,
)


def evaluations(folder: Path) -> list[Path]:
    """The files `Session*/dialog/EmoEvaluation/*.txt`, sorted."""
    found = folder.glob("Session*/dialog/EmoEvaluation/*.txt")
    return sorted(path for path in found if not path.name.startswith("."))


def read_iemocap(folder: Path) -> list[Utterance]:
    """IEMOCAP's turns of the four classes anger, neutral, sadness, happiness (with excited).

    Labels are those of `Session*/dialog/EmoEvaluation/*.txt`; turns of other emotions and without
    agreement (`xxx`) are left out. Audio is `Session*/sentences/wav/DIALOGUE/TURN.wav` (or FLAC).
    A speaker is a session and a gender: `Ses01F_impro01_M003` is spoken by Ses01M.

    Raises:
        DataError: no such files, one of more than 1 MiB or without a turn, or audio that is not
            there.
    """
    texts = evaluations(folder)
    if not texts:
        raise DataError(
            f"{folder}: no Session*/dialog/EmoEvaluation/*.txt, expected IEMOCAP's folders: "
            "give the one that holds Session1"
        )
    return [utterance for text in texts for utterance in _read_dialogue(text)]


def _read_dialogue(text: Path) -> list[Utterance]:
    if text.stat().st_size > MAX_BYTES:
        raise DataError(f"{text}: more than 1 MiB, expected IEMOCAP's ratings of one dialogue")
    turns = list(TURN.finditer(text.read_text(encoding="latin-1")))
    if not turns:
        raise DataError(
            f"{text}: no line like '[6.29 - 8.23]<tab>Ses01F_impro01_F000<tab>neu', expected "
            "IEMOCAP's ratings: restore the file"
        )
    audio = text.parents[2] / "sentences" / "wav"
    return [
        Utterance(
            _audio(audio / turn["dialogue"] / turn["turn"], text),
            IEMOCAP_LABELS[turn["emotion"]],
            turn["turn"][: len("Ses01")] + turn["gender"],
        )
        for turn in turns
        if turn["emotion"] in IEMOCAP_LABELS
    ]


def _audio(stem: Path, text: Path) -> Path:
    for suffix in (".wav", ".flac"):
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return path
    raise DataError(f"{stem}.wav: no such file, though {text} rates it: restore the audio")
