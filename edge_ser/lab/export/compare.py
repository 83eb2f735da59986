"""Is a written file still the model, and is its form worth having?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard
from edge_ser.errors import ModelError
from edge_ser.lab.export.forms import ADVICE, Form
from edge_ser.lab.export.reference import Blocks, Floats, Output
from edge_ser.metrics import softmax, uar
from edge_ser.runtime import Interpreter

__all__ = [
    "Comparison",
    "Speed",
    "compare",
    "probabilities",
    "refuse_another_model",
    "refuse_poor_form",
    "shown_loss",
    "shown_milliseconds",
    "time_both",
]

Labels = NDArray[np.int64]

FLOAT32_TOLERANCE = 1e-4
"""Largest difference from the framework of any probability of a float32 file."""
LABELS_CHANGED = 0.01
"""Largest share of clips whose label a smaller form may change, where none is known to be right."""
UAR_LOST = 0.01
"""Largest loss of unweighted average recall of a smaller form, where labels are known."""
LARGEST_SHARE = 0.5
"""Of the float32 file's size, for quantised forms."""
SLOWEST = 1.05
"""Times the float32 file's time; less is not told from none."""
RUNS = 40
MOST_SECONDS = 6.0
ROUNDS = 3
"""Of measurements, until one finds the form no slower: other work on the machine slows one side
of a measurement at times, and never speeds one up."""


@dataclass(frozen=True)
class Speed:
    """Median times of a clip on one thread here, of files that took turns."""

    milliseconds: float
    float32_milliseconds: float

    @property
    def ratio(self) -> float:
        """Above 1: slower than float32."""
        return self.milliseconds / self.float32_milliseconds


@dataclass(frozen=True)
class Comparison:
    """A written file beside the model that it was made of."""

    clips: int
    worst: float
    """Largest difference of a probability."""
    changed: int
    """Clips whose label is another."""
    lost: float | None = None
    """Unweighted average recall that the model has more than the file; None if what is right is
    not known."""
    share: float = 1.0
    """Of the float32 file's bytes, without the card."""
    speed: Speed | None = None
    """None for float32."""


def shown_milliseconds(milliseconds: float) -> str:
    """A time, with as many digits as tell it from one that is a twentieth longer.

    >>> shown_milliseconds(1.234), shown_milliseconds(0.0213)
    ('1.23', '0.0213')
    """
    return f"{milliseconds:.2f}" if milliseconds >= 1 else f"{milliseconds:#.3g}"


def shown_loss(lost: float) -> str:
    """A loss of recall from -1 to 1 in percent; a gain has a minus, nothing has no sign.

    >>> shown_loss(0.004), shown_loss(-0.003), shown_loss(-0.0001)
    ('0.4%', '-0.3%', '0.0%')
    """
    return f"{lost:z.1%}"


def probabilities(scores: NDArray[np.floating], output: Output) -> NDArray[np.float64]:
    """What the scores stand for, shape (clips, labels)."""
    wide = scores.astype(np.float64)
    return softmax(wide) if output == "logits" else wide


def compare(
    interpreter: Interpreter,
    card: ModelCard,
    clips: Blocks,
    wanted: Floats,
    labels: Labels | None,
    done: Callable[[int, int], None],
) -> Comparison:
    """Run the file on all clips.

    Args:
        interpreter: of the written file.
        card: of it.
        clips: features.
        wanted: the framework's scores, shape (clips, labels).
        labels: what is right, shape (clips,), where it is known.
        done: told how many clips of how many.
    """
    name, rows = card.output.scores or interpreter.outputs[0].name, []
    for number, blocks in enumerate(zip(*clips, strict=True), 1):
        rows.append(interpreter.run(blocks)[name].reshape(-1))
        done(number, len(wanted))
    got = probabilities(np.stack(rows), card.output.kind)
    expected = probabilities(wanted, card.output.kind)
    difference = np.abs(got - expected)
    ours, theirs = got.argmax(axis=1), expected.argmax(axis=1)
    return Comparison(
        clips=len(wanted),
        worst=float(np.where(np.isnan(difference), np.inf, difference).max()),
        changed=int((ours != theirs).sum()),
        lost=None if labels is None else uar(labels, theirs) - uar(labels, ours),
    )


def time_both(small: Interpreter, plain: Interpreter, clips: Blocks) -> Speed:
    """Time two files by turns on the same clips, until the first is found no slower."""
    found = _timed(small, plain, clips)
    for _ in range(ROUNDS - 1):
        if found.ratio <= SLOWEST:
            break
        found = min(found, _timed(small, plain, clips), key=lambda speed: speed.ratio)
    return found


def refuse_another_model(comparison: Comparison, form: Form, framework: str) -> None:
    """Refuse a file whose scores or labels are not those of the framework.

    Raises:
        ModelError: they are not.
    """
    worst, changed, clips = comparison.worst, comparison.changed, comparison.clips
    if not np.isfinite(worst) or (form == "float32" and worst > FLOAT32_TOLERANCE):
        raise ModelError(
            f"a score of the {form} file is {worst:.2g} from {framework}'s, expected at most "
            f"{FLOAT32_TOLERANCE:g}: the converter changed the graph; try another version of it"
        )
    if form == "float32":
        return
    # Of a hundred clips, one alone is a point.
    if comparison.lost is not None and comparison.lost > UAR_LOST and changed > 1:
        raise ModelError(
            f"the {form} file loses {shown_loss(comparison.lost)} of UAR on {clips} clips, "
            f"expected at most {UAR_LOST:.0%}: {ADVICE[form]}"
        )
    if comparison.lost is None and changed > LABELS_CHANGED * clips:
        raise ModelError(
            f"the {form} file changes {changed} of {clips} labels, expected at most "
            f"{LABELS_CHANGED:.0%}: {ADVICE[form]}"
        )


def refuse_poor_form(comparison: Comparison, form: Form) -> None:
    """Refuse a quantised file that is slower than float32, or not half as large.

    Raises:
        ModelError: it is.
    """
    if form not in ("dynamic", "int8"):
        return
    other = "float32 or dynamic" if form == "int8" else "float32"
    speed = comparison.speed
    if speed is not None and speed.ratio > SLOWEST:
        raise ModelError(
            f"the {form} file takes {shown_milliseconds(speed.milliseconds)} ms a clip here, the "
            f"float32 file {shown_milliseconds(speed.float32_milliseconds)}, expected no more: "
            f"export {other}, or take it with --force"
        )
    if comparison.share > LARGEST_SHARE:
        raise ModelError(
            f"the {form} file has {comparison.share:.0%} of the float32 file's size, expected at "
            f"most {LARGEST_SHARE:.0%}: export {other}, or take it with --force"
        )


def _timed(small: Interpreter, plain: Interpreter, clips: Blocks) -> Speed:
    times: tuple[list[float], list[float]] = ([], [])
    count, began = len(clips[0]), time.monotonic()
    for run in range(-2, RUNS):
        blocks = [block[run % count] for block in clips]
        for interpreter, taken in zip((small, plain), times, strict=True):
            before = time.perf_counter()
            interpreter.run(blocks)
            taken.append(time.perf_counter() - before)
        if run > 1 and time.monotonic() - began > MOST_SECONDS:
            break
    # The first two of each warm up.
    ours, theirs = (1000 * float(np.median(taken[2:])) for taken in times)
    return Speed(ours, theirs)
