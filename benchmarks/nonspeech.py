"""How often a model is sure of an emotion where nobody speaks.

    python -m edge_ser.benchmarks.nonspeech NOISE MODEL [MODEL ...] [--record NAME]

NOISE is a folder with a folder of recordings for each kind of sound. Each recording is cut into
windows of three seconds (of the last, a second at least); a window counts where the model names an
emotion and does not call it uncertain. Every other recording of a kind (the even ones) may have
helped to choose a method; the odd ones show what it is worth.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ser.audio import Clip, read_clip
from edge_ser.classifier import NO_SPEECH, Classifier, load_model
from edge_ser.corpora.utterances import audio_files
from edge_ser.errors import DataError
from edge_ser.evaluation.report import markdown_table

from .conditions import conditions, publish

WINDOW_S = 3
LEAST_S = 1

Windows = Mapping[tuple[str, str], Sequence[Clip]]
"""By kind of sound and half: even or odd recordings."""


def windows(noise: Path) -> Windows:
    """What is classified, of each kind of sound.

    Raises:
        DataError: there are no recordings.
    """
    found: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    numbers: dict[str, int] = defaultdict(int)
    for path in audio_files(noise):
        kind = path.parent.name
        half = ("even", "odd")[numbers[kind] % 2]
        numbers[kind] += 1
        if cut := list(_cut(read_clip(path))):
            found[kind, half] += cut
    if not found:
        raise DataError(f"{noise}: no audio, expected a folder of recordings for each kind")
    return found


def _cut(clip: Clip) -> Iterator[Clip]:
    length = WINDOW_S * clip.rate
    for start in range(0, len(clip.samples), length):
        part = clip.samples[start : start + length]
        if len(part) >= LEAST_S * clip.rate:
            yield Clip(part, clip.rate)


def sure(model: Classifier, clip: Clip) -> bool:
    """Whether the model names an emotion and stands by it."""
    prediction = model(clip)
    return prediction.label != NO_SPEECH and not prediction.uncertain


def measure(models: Sequence[Classifier], heard: Windows) -> Iterator[dict[str, Any]]:
    """For each kind and half: how many windows, and of how many each model was sure."""
    for (kind, half), clips in sorted(heard.items()):
        said = {model.card.name: sum(sure(model, clip) for clip in clips) for model in models}
        yield {"kind": kind, "half": half, "windows": len(clips), "sure": said}


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for people: kinds, and the sums of both halves."""
    names = list(rows[0]["sure"])
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["kind"]].append(row)
    for row in rows:
        groups[f"all {row['half']}"].append(row)
    groups["all"] = list(rows)
    table = []
    for name, members in groups.items():
        number = sum(row["windows"] for row in members)
        shares = [sum(row["sure"][model] for row in members) / number for model in names]
        table.append([name, number, *(f"{100 * share:.1f} %" for share in shares)])
    return markdown_table(["sound", "windows", *names], table)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("noise", type=Path, help="a folder for each kind of sound")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="installed names or files")
    parser.add_argument("--json", action="store_true", help="print every figure")
    parser.add_argument("--record", metavar="NAME", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    rows = list(measure([load_model(name) for name in given.models], windows(given.noise)))
    record = {"conditions": known, "rows": rows}
    publish(given, record, "Sure of an emotion where nobody speaks", page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
