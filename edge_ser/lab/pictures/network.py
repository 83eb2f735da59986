"""What a 1-D convolutional network learnt: its filters, and the frequencies that they let through.

Of networks of `edge_ser.lab.architectures.waveform_cnn`; `pictures.activation` draws what such a
network makes of a clip.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.pictures import ACCENT, FAINT, RULE, new_figure, plain_text, write_png

if TYPE_CHECKING:
    from edge_ser.lab.architectures.waveform_cnn import WaveformCnn

__all__ = [
    "check_convolution",
    "draw_filters",
    "draw_frequency_view",
    "frequency_responses",
    "heading",
    "plain_axes",
]

Axes = Any
Floats = NDArray[np.float64]

MAX_PANELS = 64
COLUMNS = 8
FREQUENCIES = 512
"""Points of a magnitude response."""
RANGE_DB = 30.0


def draw_filters(
    module: WaveformCnn, rate: int, path: Path, convolution: int = 1, title: str = ""
) -> None:
    """The filters of a convolution, at most 64: curves of the first, maps of later ones.

    All panels share their scale. A later filter is drawn as channels before it (down) by taps.

    Args:
        module: the network.
        rate: hertz, of the samples that it takes.
        path: PNG file, replaced if it is there.
        convolution: from 1.
        title: above all.

    Raises:
        DataError: no such convolution.
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    check_convolution(module, convolution)
    filters = module.filters(convolution).numpy()
    shown = filters[:MAX_PANELS]
    rows = math.ceil(len(shown) / COLUMNS)
    tall = 0.85 if convolution == 1 else 1.0
    figure = new_figure(9.5, 1.1 + tall * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False)  # shared axes take seconds
    step_ms = 1000 * module.places(convolution - 1).step / rate
    times = (np.arange(shown.shape[2]) - shown.shape[2] // 2) * step_ms
    largest = float(np.abs(shown).max()) or 1.0
    image = None
    for number, axes in enumerate(panels.flat, 1):
        if number > len(shown):
            axes.set_visible(False)
        elif convolution == 1:
            _draw_curve(axes, times, shown[number - 1, 0], largest)
        else:
            image = _draw_map(axes, times, step_ms, shown[number - 1], largest)
        axes.set_title(str(number), fontsize="x-small", color=FAINT, pad=2)
        axes.set_xticks(times[[0, -1]], [f"{time:.3g}" for time in times[[0, -1]]])
        left, bottom = number % COLUMNS == 1, number > len(shown) - COLUMNS
        axes.tick_params(labelsize="x-small", length=2, labelleft=left, labelbottom=bottom)
    figure.supxlabel(f"milliseconds ({shown.shape[2]} taps)", fontsize="medium")
    figure.supylabel(
        "weight" if convolution == 1 else f"channel of convolution {convolution - 1}",
        fontsize="medium",
    )
    if image is not None:
        figure.colorbar(image, ax=panels, label="weight", fraction=0.02, aspect=40)
    what = f"{len(shown)} of {len(filters)}" if len(shown) < len(filters) else f"{len(filters)}"
    heading(figure, title, f"convolution {convolution}: {what} filters")
    write_png(figure, path)


def frequency_responses(module: WaveformCnn) -> Floats:
    """Magnitudes of the first convolution's filters, (channels, 513), from 0 to half the rate.

    |sum over n of w[n] e^(-i omega n)|, of the weights alone: without bias and normalisation.
    """
    weights = module.filters(1).numpy()[:, 0].astype(np.float64)
    magnitudes: Floats = np.abs(np.fft.rfft(weights, 2 * FREQUENCIES, axis=1))
    return magnitudes


def draw_frequency_view(module: WaveformCnn, rate: int, path: Path, title: str = "") -> None:
    """Magnitude responses of the first convolution's filters, sorted by their peaks, and gains.

    Each row is a filter, relative to its own peak, which a dot marks; its gain there stands beside.

    Args:
        module: the network.
        rate: hertz, of the samples that it takes.
        path: PNG file, replaced if it is there.
        title: above all.

    Raises:
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    responses = frequency_responses(module)
    hertz = np.linspace(0, rate / 2, responses.shape[1])
    peaks = responses.argmax(axis=1)
    order = np.argsort(peaks, kind="stable")
    gains = np.maximum(responses.max(axis=1), 1e-6)
    levels = 20 * np.log10(np.maximum(responses / gains[:, None], 1e-6))[order]
    count = len(order)
    figure = new_figure(9, min(11.0, 2.2 + 0.1 * count))
    main, side = figure.subplots(1, 2, sharey=True, width_ratios=[5, 1])
    edge = hertz[1] / 2
    image = main.imshow(
        levels,
        aspect="auto",
        origin="lower",
        extent=(-edge, rate / 2 + edge, 0.5, count + 0.5),
        vmin=-RANGE_DB,
        vmax=0,
        cmap="magma",
        interpolation="nearest",
    )
    rows = np.arange(1, count + 1)
    main.plot(hertz[peaks[order]], rows, "o", color=ACCENT, mec="white", ms=4, clip_on=False)
    main.set(xlabel="Hz", ylabel="filter, sorted by peak frequency", xlim=(-edge, rate / 2 + edge))
    side.barh(rows, 20 * np.log10(gains[order]), color=ACCENT, height=0.8)
    side.axvline(0, color=FAINT, linewidth=0.8)
    side.set_xlabel("gain at peak (dB)")
    plain_axes(side)
    figure.colorbar(image, ax=main, label="dB, relative to the filter's peak", fraction=0.03)
    heading(figure, title, f"frequency view of convolution 1: {count} filters")
    write_png(figure, path)


def _draw_curve(axes: Axes, times: Floats, weights: NDArray[Any], largest: float) -> None:
    axes.axhline(0, color=RULE, linewidth=0.8)
    axes.plot(times, weights, color=ACCENT, marker="o", markersize=2.5, linewidth=1)
    axes.set_ylim(-1.1 * largest, 1.1 * largest)
    plain_axes(axes)


def _draw_map(
    axes: Axes, times: Floats, step_ms: float, weights: NDArray[Any], largest: float
) -> Any:
    axes.set_yticks([1, len(weights)])
    return axes.imshow(
        weights,
        aspect="auto",
        origin="lower",
        extent=(times[0] - step_ms / 2, times[-1] + step_ms / 2, 0.5, len(weights) + 0.5),
        vmin=-largest,
        vmax=largest,
        cmap="RdBu",
        interpolation="nearest",
    )


def plain_axes(axes: Axes) -> None:
    """Axes without the lines above and on the right."""
    axes.spines[["top", "right"]].set_visible(False)


def heading(figure: Any, title: str, what: str) -> None:
    """What a picture shows, under its title if it has one."""
    figure.suptitle(f"{plain_text(title)}\n{what}" if title else what, fontsize="medium")


def check_convolution(module: WaveformCnn, convolution: int) -> None:
    """Raise DataError unless the network has that convolution, counted from 1."""
    if not 1 <= convolution <= len(module.row):
        raise DataError(
            f"convolution {convolution}, expected 1 to {len(module.row)}, which the network has"
        )
