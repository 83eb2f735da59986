"""What a 1-D convolutional network learnt: filters, frequencies, feature maps, class activation.

Of networks of `edge_ser.lab.architectures.waveform_cnn`; all pictures are PNG files.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.lab.pictures.png import ACCENT, FAINT, RULE, new_figure, plain_text, write_png

if TYPE_CHECKING:
    from edge_ser.lab.architectures.waveform_cnn import WaveformCnn

__all__ = [
    "class_activation",
    "draw_class_activation",
    "draw_feature_maps",
    "draw_filters",
    "draw_frequency_view",
    "frequency_responses",
]

Axes = Any
Floats = NDArray[np.float64]

AGAINST = "#b3413a"
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
    _check_convolution(module, convolution)
    filters = module.filters(convolution).numpy()
    shown = filters[:MAX_PANELS]
    rows = math.ceil(len(shown) / COLUMNS)
    tall = 0.85 if convolution == 1 else 1.0
    figure = new_figure(9.5, 1.1 + tall * rows)
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
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
        axes.tick_params(labelsize="x-small", length=2)
    figure.supxlabel(f"milliseconds ({shown.shape[2]} taps)", fontsize="medium")
    figure.supylabel(
        "weight" if convolution == 1 else f"channel of convolution {convolution - 1}",
        fontsize="medium",
    )
    if image is not None:
        figure.colorbar(image, ax=panels, label="weight", aspect=40)
    what = f"{len(shown)} of {len(filters)}" if len(shown) < len(filters) else f"{len(filters)}"
    _head(figure, title, f"convolution {convolution}: {what} filters")
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
    main.plot(hertz[peaks[order]], range(1, count + 1), "o", color=ACCENT, mec="white", ms=4)
    main.set(xlabel="Hz", ylabel="filter, sorted by peak frequency", xlim=(-edge, rate / 2 + edge))
    side.barh(range(1, count + 1), 20 * np.log10(gains[order]), color=ACCENT, height=0.8)
    side.axvline(0, color=FAINT, linewidth=0.8)
    side.set_xlabel("gain at peak (dB)")
    _plain(side)
    figure.colorbar(image, ax=main, label="dB, relative to the filter's peak", pad=0.01)
    _head(figure, title, f"frequency view of convolution 1: {count} filters")
    write_png(figure, path)


def draw_feature_maps(
    module: WaveformCnn, samples: NDArray[Any], rate: int, path: Path, title: str = ""
) -> None:
    """A clip's waveform over what each convolution makes of it, on one time axis.

    Each map is shaded from 0 to its own maximum, which is written beside it.

    Args:
        module: the network.
        samples: shape (module.samples,), in [-1, 1].
        rate: hertz.
        path: PNG file, replaced if it is there.
        title: above all.

    Raises:
        DataError: another number of samples.
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    clip = _as_batch(module, samples)
    with _evaluating(module):
        found = {name: values.detach().cpu() for name, values in module.activations(clip).items()}
    count = len(module.row)
    figure = new_figure(9.5, 2.0 + 0.95 * count)
    panels = figure.subplots(count + 1, 1, sharex=True)
    _draw_waveform(panels[0], samples, rate)
    for number, axes in enumerate(panels[1:], 1):
        values = found[f"convolution{number}"][0].numpy()
        start, end = _stretch(module, number, values.shape[1], rate)
        axes.imshow(
            values,
            aspect="auto",
            origin="lower",
            extent=(start, end, 0.5, len(values) + 0.5),
            vmin=0,
            vmax=float(values.max()) or 1.0,
            cmap="magma",
            interpolation="nearest",
        )
        axes.set_ylabel(f"conv {number}", fontsize="small")
        axes.set_yticks([1, len(values)])
        axes.tick_params(labelsize="x-small")
        note = f"{len(values)} x {values.shape[1]}\nmax {values.max():.3g}"
        axes.text(
            1.01, 0.5, note, transform=axes.transAxes, va="center", fontsize="x-small", color=FAINT
        )
    panels[-1].set_xlabel("seconds")
    panels[-1].set_xlim(0, len(samples) / rate)
    _head(figure, title, "feature maps: channels by time")
    write_png(figure, path)


def class_activation(
    module: WaveformCnn, samples: NDArray[Any], chosen: int, convolution: int | None = None
) -> Floats:
    """What each stretch of a clip adds to the logit of a class, (length of the map,).

    The logit is b + sum over c and t of w[c, t] A[c, t], where A is the last convolution's map and
    w the dense layer's weights (with the scale of a normalisation between them). So the map
    M(t) = sum over c of w[c, t] A[c, t] is no estimate: it adds up to the logit but for a constant.
    Class activation mapping (Zhou 2016) is the case where w does not depend on t; Grad-CAM
    (Selvaraju 2017) takes the mean of the gradient over t, which here would give up exactness.

    Computed as gradient times activation, since w is the gradient. With hidden dense layers, or for
    an earlier convolution, that is its first-order form: these networks are linear in pieces, so
    the sum then differs from the logit by what the later biases add.

    Args:
        module: the network.
        samples: shape (module.samples,), in [-1, 1].
        chosen: index of the class.
        convolution: from 1; None for the last.

    Raises:
        DataError: another number of samples, no such class or convolution.
    """
    import torch

    number = len(module.row) if convolution is None else convolution
    _check_convolution(module, number)
    clip = _as_batch(module, samples).requires_grad_()
    with _evaluating(module), torch.enable_grad():
        found = module.activations(clip)
        logits, maps = found["logits"][0], found[f"convolution{number}"]
        if not 0 <= chosen < len(logits):
            raise DataError(f"class {chosen}, expected 0 to {len(logits) - 1}: choose another")
        (gradient,) = torch.autograd.grad(logits[chosen], maps)
    added: Floats = (gradient * maps)[0].sum(0).detach().cpu().numpy().astype(np.float64)
    return added


def draw_class_activation(
    module: WaveformCnn,
    samples: NDArray[Any],
    rate: int,
    chosen: int,
    path: Path,
    title: str = "",
    convolution: int | None = None,
) -> None:
    """A waveform over what each stretch of it adds to the logit of a class; see
    `class_activation`.

    Args:
        module: the network.
        samples: shape (module.samples,), in [-1, 1].
        rate: hertz.
        chosen: index of the class.
        path: PNG file, replaced if it is there.
        title: above all; the class's name, say.
        convolution: from 1; None for the last, whose bars are exact and long. Earlier ones show
            more detail.

    Raises:
        DataError: another number of samples, no such class or convolution.
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    number = len(module.row) if convolution is None else convolution
    added = class_activation(module, samples, chosen, number)
    with _evaluating(module):
        logits = module(_as_batch(module, samples))[0].detach().cpu().double()
    share = float(logits.softmax(0)[chosen])
    start, end = _stretch(module, number, len(added), rate)
    edges = np.linspace(start, end, len(added) + 1)
    largest = float(np.abs(added).max()) or 1.0

    figure = new_figure(9.5, 4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.2, 1])
    image = above.imshow(
        added[None],
        aspect="auto",
        extent=(start, end, -1, 1),
        cmap="RdBu",
        vmin=-largest,
        vmax=largest,
        alpha=0.6,
        interpolation="nearest",
    )
    _draw_waveform(above, samples, rate, color="black")
    colors = np.where(added >= 0, ACCENT, AGAINST)
    below.bar(edges[:-1], added, np.diff(edges), align="edge", color=colors, ec="white", lw=0.5)
    below.axhline(0, color=FAINT, linewidth=0.8)
    _plain(below)
    below.set(xlabel="seconds", ylabel="added to the logit", xlim=(0, len(samples) / rate))
    figure.colorbar(image, ax=above, label="against / for", pad=0.01)
    places = module.places(number)
    _head(
        figure,
        title,
        f"logit {float(logits[chosen]):.2f}, probability {share:.3f}; convolution {number}: a bar "
        f"is {1000 * places.step / rate:.3g} ms and sees {1000 * places.reach / rate:.3g} ms",
    )
    write_png(figure, path)


def _draw_curve(axes: Axes, times: Floats, weights: NDArray[Any], largest: float) -> None:
    axes.axhline(0, color=RULE, linewidth=0.8)
    axes.plot(times, weights, color=ACCENT, marker="o", markersize=2.5, linewidth=1)
    axes.set_ylim(-1.1 * largest, 1.1 * largest)
    _plain(axes)


def _draw_map(
    axes: Axes, times: Floats, step_ms: float, weights: NDArray[Any], largest: float
) -> Any:
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


def _draw_waveform(axes: Axes, samples: NDArray[Any], rate: int, color: str = ACCENT) -> None:
    axes.plot(np.arange(len(samples)) / rate, samples, color=color, linewidth=0.5)
    peak = 1.05 * (float(np.abs(samples).max()) or 1.0)
    axes.set(ylabel="amplitude", ylim=(-peak, peak))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _head(figure: Any, title: str, what: str) -> None:
    figure.suptitle(f"{plain_text(title)}\n{what}" if title else what, fontsize="medium")


def _stretch(module: WaveformCnn, convolution: int, length: int, rate: int) -> tuple[float, float]:
    """Seconds at which the map of a convolution begins and ends."""
    places = module.places(convolution)
    start = places.centre - (places.step - 1) / 2
    return start / rate, (start + length * places.step) / rate


def _as_batch(module: WaveformCnn, samples: NDArray[Any]) -> Any:
    import torch

    if samples.shape != (module.samples,):
        raise DataError(
            f"samples of shape {samples.shape}, expected ({module.samples},), which the network "
            "takes: pad or crop the clip"
        )
    device = next(module.parameters()).device
    return torch.tensor(samples, dtype=torch.float32, device=device)[None]


def _check_convolution(module: WaveformCnn, convolution: int) -> None:
    if not 1 <= convolution <= len(module.row):
        raise DataError(
            f"convolution {convolution}, expected 1 to {len(module.row)}, which the network has"
        )


@contextlib.contextmanager
def _evaluating(module: WaveformCnn) -> Iterator[None]:
    """Without dropout and with fixed normalisation; the mode is set back afterwards."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
