"""What training data look like: how many clips, one of them, and what augmentation makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit
from edge_ser.frontend import PRESETS, Frontend, FrontendSpec, maths
from edge_ser.frontend.pitch import LOWEST_HZ
from edge_ser.lab.augmentation import Augmentation, FeatureStep, OneOf, Step, WaveformStep, name_of
from edge_ser.lab.augmentation.draws import draw
from edge_ser.pictures import ACCENT, FAINT, RULE, new_figure, plain_text, write_png

__all__ = ["draw_augmentations", "draw_class_counts", "draw_clip"]

Samples = NDArray[np.float32]
Axes = Any

COLUMNS = 3
ENVELOPE_POINTS = 1500
TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16_000)
TICKS_PITCH = (50, 75, 100, 150, 200, 300, 400, 500, 800)
FEW_TICKS_HZ = (1000, 4000, 16_000)
RANGE_DB = 80.0
"""Of colours, where the frontend has no range of its own."""


def draw_class_counts(counts: Mapping[str, Mapping[str, int]], path: Path, title: str = "") -> None:
    """Bars of the number of clips of each label, a panel for each split.

    Args:
        counts: split -> label -> clips; the splits name the same labels in the same order.
        path: PNG file, replaced if it is there.
        title: above all.

    Raises:
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    labels = list(next(iter(counts.values()), {}))
    figure = new_figure(2.0 + 3.2 * len(counts), 1.3 + 0.32 * max(2, len(labels)))
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for axes, (split, numbers) in zip(panels, counts.items(), strict=True):
        total = sum(numbers.values())
        bars = axes.barh(range(len(labels)), [numbers[label] for label in labels], color=ACCENT)
        axes.bar_label(bars, padding=3, color=FAINT, fontsize="small")
        axes.set_yticks(range(len(labels)), [plain_text(label) for label in labels])
        axes.set_title(f"{plain_text(split)}: {total:,} clips", fontsize="medium", loc="left")
        axes.margins(x=0.14, y=0.02)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks([])
    panels[0].invert_yaxis()
    figure.suptitle(plain_text(title), fontsize="large")
    write_png(figure, path)


def draw_clip(samples: Samples, spec: FrontendSpec, path: Path, title: str = "") -> None:
    """A clip's waveform with its features below it, on one time axis in seconds.

    Args:
        samples: shape (n,), at `spec.rate`.
        spec: the frontend. For MFCCs the mel bands that they come from are drawn too; for pitch
            and for a waveform a log-mel spectrogram of 128 bands; for functionals the bands and
            the pitch that they are statistics of.
        path: PNG file, replaced if it is there.
        title: above all.

    Raises:
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    bands = _log_mel(spec)
    rows = [2.0, 3.0] + ([3.0] if spec.kind in ("mfcc", "pitch", "functionals") else [])
    figure = new_figure(9, 1.0 + 0.75 * sum(rows))
    panels = figure.subplots(len(rows), 1, sharex=True, height_ratios=rows, squeeze=False)[:, 0]
    _draw_waveform(panels[0], samples, spec.rate)
    panels[0].set_ylabel("amplitude")
    image = _features(samples, bands)
    shown = _draw_mel(panels[1], image, bands, float(image.max()))
    figure.colorbar(shown, ax=panels[1], label="dB" if bands.log == "db" else "ln power")
    if spec.kind == "mfcc":
        shown = _draw_cepstra(panels[2], _features(samples, spec), spec)
        figure.colorbar(shown, ax=panels[2], label="deviations from its mean")
    if spec.kind in ("pitch", "functionals"):
        pitch = replace(spec, kind="pitch")
        shown = _draw_pitch(panels[2], _features(samples, pitch), pitch)
        figure.colorbar(shown, ax=panels[2], label="strength")
    panels[-1].set_xlabel("seconds")
    panels[-1].set_xlim(0, len(samples) / spec.rate)
    figure.suptitle(plain_text(title), fontsize="large")
    write_png(figure, path)


def draw_augmentations(
    augmentation: Augmentation,
    samples: Samples,
    spec: FrontendSpec,
    path: Path,
    seed: int = 0,
    title: str = "",
) -> None:
    """One clip as it is, after each step alone, and in mode online after all of them.

    Each is a waveform over its log-mel spectrogram, all on the same axes and colours. Parameters
    are drawn by `seed`; probabilities do not count. Masks are drawn into the spectrogram, or
    into the samples where `spec` is of a waveform.

    Args:
        augmentation: the steps.
        samples: shape (n,), at `spec.rate`.
        spec: the frontend.
        path: PNG file, replaced if it is there.
        seed: of the parameters.
        title: above all.

    Raises:
        DependencyError: matplotlib is not installed.
        DataError, AudioError: real_noise without recordings that can be used.
        StorageError: the file cannot be written.
    """
    cells = _cells(augmentation, samples, spec, seed)
    bands = _log_mel(spec)
    rows = -(-len(cells) // COLUMNS)
    figure = new_figure(4.2 * COLUMNS, 0.6 + 2.5 * rows)
    grid = figure.add_gridspec(2 * rows, COLUMNS, height_ratios=[1, 2] * rows)
    seconds = max(len(changed) for _, changed, _ in cells) / spec.rate
    loudest = max(0.01, *(float(np.abs(changed).max()) for _, changed, _ in cells))
    top = float(cells[0][2].max())
    for at, (name, changed, image) in enumerate(cells):
        row, column = divmod(at, COLUMNS)
        above = figure.add_subplot(grid[2 * row, column])
        below = figure.add_subplot(grid[2 * row + 1, column], sharex=above)
        _draw_waveform(above, changed, spec.rate)
        _draw_mel(below, image, bands, top, FEW_TICKS_HZ)
        above.set_title(name, fontsize="medium", loc="left")
        above.set(xlim=(0, seconds), ylim=(-loudest, loudest))
        above.tick_params(labelbottom=False)
        if column:
            above.tick_params(labelleft=False)
            below.tick_params(labelleft=False)
            below.set_ylabel("")
    figure.supxlabel("seconds", fontsize="medium")
    figure.suptitle(plain_text(title), fontsize="large")
    write_png(figure, path)


Cell = tuple[str, Samples, NDArray[np.float32]]
"""Title, samples, and image of shape (frames, bands)."""


def _cells(
    augmentation: Augmentation, samples: Samples, spec: FrontendSpec, seed: int
) -> list[Cell]:
    bands = _log_mel(spec)
    cells = [("as it is", samples, _features(samples, bands))]
    settled = [
        _settled(step, np.random.default_rng([seed, number]))
        for number, step in enumerate(augmentation.steps)
    ]
    chains = [(_named(step), [step]) for step in settled]
    if augmentation.mode == "online" and len(settled) > 1:
        chains.append(("all of them", settled))
    for number, (name, chain) in enumerate(chains):
        rng = np.random.default_rng([seed, number])
        changed = samples
        for step in chain:
            if isinstance(step, WaveformStep):
                changed = step(changed, spec.rate, rng)
        if spec.kind == "waveform":
            changed = _masked(chain, changed, rng)
            image = _features(changed, bands)
        else:
            image = _masked(chain, _features(changed, bands), rng)
        cells.append((name, changed, image))
    return cells


def _masked(
    chain: list[Step], features: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    for step in chain:
        if isinstance(step, FeatureStep):
            features = step(features, rng, 0)
    return features


def _settled(step: Step, rng: np.random.Generator) -> Step:
    """The step with its numbers drawn, and done for certain."""
    drawn = {
        each.name: draw(value, rng)
        for each in fields(step)
        if isinstance(value := getattr(step, each.name), tuple | OneOf)
    }
    return replace(step, probability=1.0, **drawn)


def _named(step: Step) -> str:
    values = {each.name: getattr(step, each.name) for each in fields(step)}
    numbers = [
        f"{name} {value:.0f}" if abs(value) >= 100 else f"{name} {value:.3g}"
        for name, value in values.items()
        if isinstance(value, float) and name != "probability"
    ]
    return f"{name_of(step)}: {', '.join(numbers)}" if numbers else name_of(step)


def _log_mel(spec: FrontendSpec) -> FrontendSpec:
    """The mel bands of a frontend, time first; of one without, those of librosa at its rate."""
    if spec.kind in ("pitch", "waveform"):
        return replace(PRESETS["log-mel"], rate=spec.rate, fmax=spec.rate / 2)
    return replace(spec, kind="log_mel", layout="time_first", normalise="none")


def _features(samples: Samples, spec: FrontendSpec) -> NDArray[np.float32]:
    """Shape (frames, coefficients); a clip shorter than one frame is filled up with zeros."""
    return Frontend(replace(spec, layout="time_first"))(
        fit(samples, max(len(samples), spec.n_fft), "end")
    )


def _draw_waveform(axes: Axes, samples: Samples, rate: int) -> None:
    """The span between the lowest and highest sample of each of many short stretches."""
    starts = np.unique(np.linspace(0, len(samples), ENVELOPE_POINTS, endpoint=False, dtype=int))
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    axes.fill_between(starts / rate, low, high, color=ACCENT, linewidth=0.6)
    axes.axhline(0, color=RULE, linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_mel(
    axes: Axes,
    image: NDArray[np.float32],
    spec: FrontendSpec,
    high: float,
    ticks_hz: Sequence[int] = TICKS_HZ,
) -> Any:
    """Bands by time with ticks in hertz; `high` is the brightest colour."""
    below = (spec.top_db or RANGE_DB) if spec.log == "db" else RANGE_DB * np.log(10) / 10
    shown = axes.imshow(
        image.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=_extent(len(image), spec),
        vmin=high - below,
        vmax=high,
    )
    ends = maths.hz_to_mel(np.array([spec.fmin, spec.fmax]), spec.mel_scale)
    centres = maths.mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2)[1:-1], spec.mel_scale)
    ticks = [hz for hz in ticks_hz if centres[0] <= hz <= centres[-1]]
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in ticks]
    axes.set_yticks(np.interp(ticks, centres, range(spec.n_mels)), names, fontsize="small")
    return shown


def _draw_cepstra(axes: Axes, image: NDArray[np.float32], spec: FrontendSpec) -> Any:
    """Each coefficient by its own mean and deviation: the first few would outshine all others."""
    deviation = image.std(axis=0)
    scaled = (image - image.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    shown = axes.imshow(
        scaled.T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        extent=_extent(len(image), spec),
        vmin=-3,
        vmax=3,
    )
    axes.set_ylabel("MFCC")
    return shown


def _draw_pitch(axes: Axes, values: NDArray[np.float32], spec: FrontendSpec) -> Any:
    """The pitch of each frame, the darker the stronger; frames without one are left out."""
    left, right, _, _ = _extent(len(values), spec)
    seconds = left + (np.arange(len(values)) + 0.5) * (right - left) / len(values)
    semitones, strength = values.T
    hertz = LOWEST_HZ * 2 ** (semitones / 12)
    here = strength > 0
    shown = axes.scatter(
        seconds[here], hertz[here], s=6, c=strength[here], cmap="Greys", vmin=0, vmax=1
    )
    axes.set_yscale("log")
    axes.set_ylim(spec.pitch_floor, spec.pitch_ceiling)
    ticks = [hz for hz in TICKS_PITCH if spec.pitch_floor <= hz <= spec.pitch_ceiling]
    axes.set_yticks(ticks, [f"{hz} Hz" for hz in ticks], fontsize="small")
    axes.minorticks_off()
    axes.set_ylabel("pitch")
    return shown


def _extent(frames: int, spec: FrontendSpec) -> tuple[float, float, float, float]:
    """Edges of an image in seconds and coefficients; a frame's column is around its middle."""
    length = spec.n_fft if spec.window_align == "centre" else spec.win_length
    middle = 0.0 if spec.centre else length / 2
    left = (middle - spec.hop_length / 2) / spec.rate
    return left, left + frames * spec.hop_length / spec.rate, -0.5, spec.width - 0.5
