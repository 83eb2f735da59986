"""Judgement of some seconds from a microphone against the speech that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.clip import Clip, Samples
from edge_ser.audio.conditioning import active_level
from edge_ser.segment import GateOptions

__all__ = ["Finding", "Verdict", "block_levels", "judge"]

Verdict = Literal["ok", "warn", "bad"]

FLOOR_DBFS = -120.0
FULL_SCALE = 0.998
"""Of a 16-bit converter's largest value: 32702 and up."""
FRAME_S = 0.02
SPEECH_RISE_DB, SPEECH_RANGE_DB = 12.0, 25.0
"""Decibels above the noise, and below the loudest twentieth, that are speech."""
JOIN_S, WORD_S = 0.4, 0.1
"""Seconds: shorter pauses are part of what is said, shorter sounds are none of it."""
PAUSE_S, TAIL_S = 0.8, 0.2
"""Seconds: the shortest pause whose noise is looked at, and the reverberation left out of it."""
BAND_HZ = 250.0
BAND_RISE_DB = 10.0
"""Decibels by which speech lifts a band that is carried; the band's own noise varies by 6."""
BAND_RANGE_DB = 70.0
"""Decibels below the loudest band under which there is only what filters and encoders leave."""
PLENTY_HZ = 8_000.0
"""Bandwidth to compare with where no model says what it was trained on."""


@dataclass(frozen=True)
class Finding:
    """One thing that was measured."""

    name: str
    value: float
    unit: str
    verdict: Verdict
    advice: str
    """What to do, in one line; empty where nothing needs doing."""


def judge(
    clip: Clip, level_dbfs: float | None = None, bandwidth_hz: float | None = None
) -> list[Finding]:
    """What a microphone's recording says of it, in the order in which it is best mended.

    Args:
        clip: some seconds with speech and pauses, at the microphone's own rate.
        level_dbfs: active speech level of the model's training, from its card.
        bandwidth_hz: hertz up to which the model's training speech reached, likewise.
    """
    samples = clip.samples
    if not len(samples) or float(np.ptp(samples)) == 0.0:
        return [
            Finding("muted", 100.0, "%", "bad", "every sample is the same: unmute the microphone "
                    "(alsamixer, F4; or pactl set-source-mute) or its switch, or take another")
        ]  # fmt: skip
    levels = _frame_levels(clip)
    if not len(levels):
        return []
    floor = float(np.percentile(levels, 10))
    speech = _speech(levels, floor)
    return [
        _muted(samples),
        *_levels(samples, levels, floor, speech, level_dbfs),
        _peak(samples),
        _clipping(samples),
        _offset(samples),
        *_bandwidth(clip, speech, bandwidth_hz),
        *_gain_control(levels, speech),
    ]


def block_levels(samples: Samples) -> tuple[float, float]:
    """Level and peak of a block in dB re full scale, at least -120: what a live meter shows."""
    if not len(samples):
        return FLOOR_DBFS, FLOOR_DBFS
    return _decibels(float(samples.std(dtype=np.float64))), _decibels(_largest(samples))


def _decibels(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DBFS


def _largest(samples: Samples) -> float:
    return float(np.abs(samples).max())


def _frame_levels(clip: Clip) -> NDArray[np.float64]:
    """Levels of whole frames in dB re full scale; an offset is no sound."""
    frame = max(1, round(clip.rate * FRAME_S))
    count = clip.length // frame
    variance = clip.samples[: count * frame].reshape(count, frame).var(axis=1, dtype=np.float64)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(variance, 10 ** (FLOOR_DBFS / 10)))
    return levels


def _speech(levels: NDArray[np.float64], floor: float) -> list[tuple[int, int]]:
    """(first frame, frame after the last) of what was said, however quiet it came in.

    Simpler than the gate's way, since the whole recording is known: what lies above the noise and
    not far below the loudest, for what rises out of the noise further down may be the noise itself,
    raised by an automatic gain.
    """
    least = max(floor + SPEECH_RISE_DB, float(np.percentile(levels, 95)) - SPEECH_RANGE_DB)
    loud = np.flatnonzero(levels >= least)
    if not len(loud):
        return []
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > JOIN_S / FRAME_S) + 1)
    return [(int(p[0]), int(p[-1]) + 1) for p in parts if len(p) >= WORD_S / FRAME_S]


def _muted(samples: Samples) -> Finding:
    """Runs of exact zeros: a switch, or a noise gate in driver or device."""
    frame = max(1, len(samples) // 500)
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    share = 100 * float((whole == whole[:, :1]).all(axis=1).mean())
    verdict: Verdict = "warn" if share > 5 else "ok"
    advice = "it falls dead silent at times: switch off noise suppression, look at the cable"
    return Finding("muted", share, "%", verdict, "" if verdict == "ok" else advice)


def _levels(
    samples: Samples,
    levels: NDArray[np.float64],
    floor: float,
    speech: list[tuple[int, int]],
    target: float | None,
) -> Iterator[Finding]:
    if not speech:
        advice = "no speech was heard: speak as you will later, or turn the microphone up"
        yield Finding("speech level", float(levels.max()), "dBFS", "bad", advice)
        quiet = floor < -45
        loud = "" if quiet else "the room or the microphone is noisy: find the source of the noise"
        yield Finding("noise floor", floor, "dBFS", "ok" if quiet else "warn", loud)
        return
    frame = len(samples) // len(levels)
    spoken = np.concatenate([samples[a * frame : b * frame] for a, b in speech])
    level = active_level(spoken)
    yield _level(level, target)
    yield from _noise(level, floor)


def _level(level: float, target: float | None) -> Finding:
    """Speech is brought to the training's level by a gain; only what that cannot mend is bad."""
    least = GateOptions().minimum_dbfs
    verdict: Verdict = "ok"
    advice = ""
    if level < least + 10:
        verdict = "bad"
        advice = f"turn the microphone up or go nearer: below {least:g} dBFS nothing is speech"
    elif level < -45:
        verdict, advice = "warn", "turn the microphone up or go nearer"
    elif level > -9:
        verdict, advice = "warn", "turn the microphone down: loud speech will clip"
    if target is not None and not advice and abs(target - level) > 25:
        verdict = "warn"
        advice = f"turn it {'up' if target > level else 'down'}: training was at {target:.0f} dBFS"
    return Finding("speech level", level, "dBFS", verdict, advice)


def _noise(level: float, floor: float) -> Iterator[Finding]:
    ratio = level - floor
    enter = GateOptions().enter_db
    verdict: Verdict = "ok"
    advice = ""
    if ratio < enter + 3:
        verdict = "bad"
        advice = (
            f"speech is missed less than {enter:g} dB above the noise: go nearer, or quieten it"
        )
    elif ratio < 30:
        verdict, advice = "warn", "go nearer, or quieten the room: noise makes answers worse"
    yield Finding("noise floor", floor, "dBFS", "ok", "")
    yield Finding("speech above noise", ratio, "dB", verdict, advice)


def _peak(samples: Samples) -> Finding:
    peak = _decibels(_largest(samples))
    close = peak > -1
    advice = "nothing is left for louder speech: turn the microphone down" if close else ""
    return Finding("peak", peak, "dBFS", "warn" if close else "ok", advice)


def _clipping(samples: Samples) -> Finding:
    """Share of samples at full scale, of those that have a neighbour there: a cut-off top."""
    full = np.abs(samples) >= FULL_SCALE
    cut = np.zeros(len(full), dtype=bool)
    cut[1:] |= full[1:] & full[:-1]
    cut[:-1] |= cut[1:] & full[:-1]
    share = 100 * float(cut.mean())
    verdict: Verdict = "bad" if share > 0.1 else "warn" if share > 0 else "ok"
    advice = "" if verdict == "ok" else "turn the microphone down, or go further away"
    return Finding("clipping", share, "%", verdict, advice)


def _offset(samples: Samples) -> Finding:
    offset = 100 * abs(float(samples.mean(dtype=np.float64)))
    verdict: Verdict = "bad" if offset > 10 else "warn" if offset > 2 else "ok"
    advice = (
        "" if verdict == "ok" else "a faulty sound card or cable: try another; it eats headroom"
    )
    return Finding("DC offset", offset, "%", verdict, advice)


def _bandwidth(
    clip: Clip, speech: list[tuple[int, int]], wanted: float | None
) -> Iterator[Finding]:
    """Only where speech was heard: what the microphone carries of noise is another matter."""
    if not speech:
        return
    reach = bandwidth(clip)
    needed = min(wanted or PLENTY_HZ, clip.rate / 2)
    verdict: Verdict = "ok" if reach >= 0.85 * needed else "warn" if reach > needed / 2 else "bad"
    advice = ""
    if verdict != "ok":
        advice = (
            f"the model was trained up to {needed / 1000:g} kHz: "
            if wanted
            else f"speech reaches {needed / 1000:g} kHz: "
        ) + "no Bluetooth headset or telephone line, open the microphone's cover, go nearer"
    if clip.rate / 2 < 0.95 * (wanted or 0):
        verdict = "warn" if verdict == "ok" else verdict
        advice = f"opened at {clip.rate} Hz it cannot reach {wanted:g} Hz: choose a higher --rate"
    yield Finding("bandwidth", reach, "Hz", verdict, advice)


def bandwidth(clip: Clip) -> float:
    """Hertz up to which speech stands out of the noise, in bands of 250 Hz.

    A band counts where its loud moments (95th of 100) lie 10 dB above its quiet ones (5th) and not
    more than 70 dB below those of the loudest band; the highest one counts whose lower neighbour
    does so too, so that a lone whistle is no bandwidth.
    """
    size = max(64, 1 << round(math.log2(clip.rate * 0.032)))
    count = len(clip.samples) // size
    if count < 4:
        return 0.0
    frames = clip.samples[: count * size].reshape(count, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    width = max(1, round(BAND_HZ * size / clip.rate))
    bands = power[:, 1 : 1 + (power.shape[1] - 1) // width * width]
    energy = bands.reshape(count, -1, width).mean(axis=2) + 1e-20
    loud, quiet = 10 * np.log10(np.percentile(energy, (95, 5), axis=0))
    carried = (loud - quiet >= BAND_RISE_DB) & (loud >= loud.max() - BAND_RANGE_DB)
    held = np.flatnonzero(carried[1:] & carried[:-1])
    top = held[-1] + 2 if len(held) else int(carried[0])
    return min(float((top * width + 1) * clip.rate / size), clip.rate / 2) if top else 0.0


def _gain_control(levels: NDArray[np.float64], speech: list[tuple[int, int]]) -> Iterator[Finding]:
    """Noise that grows in the pauses after speech: the gain is turned up there."""
    if not speech:
        return
    per_second = 1 / FRAME_S
    rises = []
    ends = [end for _, end in speech]
    starts = [start for start, _ in speech[1:]] + [len(levels)]
    for end, start in zip(ends, starts, strict=True):
        pause = levels[end + round(TAIL_S * per_second) : start - round(TAIL_S * per_second)]
        if len(pause) >= round((PAUSE_S - 2 * TAIL_S) * per_second):
            third = len(pause) // 3
            rises.append(float(np.median(pause[-third:]) - np.median(pause[:third])))
    if not rises:
        return
    rise = max(0.0, float(np.median(rises)))
    verdict: Verdict = "bad" if rise > 12 else "warn" if rise > 6 else "ok"
    advice = "" if verdict == "ok" else "switch automatic gain control off (alsamixer, F4: AGC)"
    yield Finding("gain control", rise, "dB", verdict, advice)
