"""What a 1-D convolutional network makes of a clip: feature maps, and what speaks for a class.

Of networks of `edge_ser.lab.architectures.waveform_cnn`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.lab.pictures.network import check_convolution, heading, plain_axes
from edge_ser.pictures import ACCENT, FAINT, new_figure, write_png

if TYPE_CHECKING:
    from edge_ser.lab.architectures.waveform_cnn import WaveformCnn

__all__ = ["class_activation", "draw_class_activation", "draw_feature_maps"]

Axes = Any
Floats = NDArray[np.float64]

AGAINST = "#b3413a"


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
    heading(figure, title, "feature maps: channels by time")
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
    check_convolution(module, number)
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

    figure = new_figure(9.5, 4.6)
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[1.2, 1])
    _draw_waveform(panels[0], samples, rate, color="black")
    image = _draw_added(panels, added, _stretch(module, number, len(added), rate))
    panels[1].set_xlim(0, len(samples) / rate)
    figure.colorbar(image, ax=panels[0], label="added to the logit", pad=0.01)
    places = module.places(number)
    heading(
        figure,
        title,
        f"logit {float(logits[chosen]):.2f}, probability {share:.3f}; convolution {number}: a bar "
        f"is {1000 * places.step / rate:.3g} ms and sees {1000 * places.reach / rate:.3g} ms",
    )
    write_png(figure, path)


def _draw_added(panels: tuple[Axes, Axes], added: Floats, stretch: tuple[float, float]) -> Any:
    """The same numbers as a shade behind the waveform and as bars below; returns the shade."""
    start, end = stretch
    largest = float(np.abs(added).max()) or 1.0
    image = panels[0].imshow(
        added[None],
        aspect="auto",
        extent=(start, end, *panels[0].get_ylim()),
        cmap="RdBu",
        vmin=-largest,
        vmax=largest,
        alpha=0.6,
        interpolation="nearest",
    )
    edges = np.linspace(start, end, len(added) + 1)
    for side, color in ((np.maximum, ACCENT), (np.minimum, AGAINST)):
        # One shape for all: an early map has thousands of bars, which take a minute one by one.
        panels[1].stairs(side(added, 0), edges, fill=True, color=color, linewidth=0)
    panels[1].axhline(0, color=FAINT, linewidth=0.8)
    panels[1].set(xlabel="seconds", ylabel="added to the logit")
    plain_axes(panels[1])
    return image


def _draw_waveform(axes: Axes, samples: NDArray[Any], rate: int, color: str = ACCENT) -> None:
    axes.plot(np.arange(len(samples)) / rate, samples, color=color, linewidth=0.5)
    peak = 1.05 * (float(np.abs(samples).max()) or 1.0)
    axes.set(ylabel="amplitude", ylim=(-peak, peak))
    plain_axes(axes)


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


@contextlib.contextmanager
def _evaluating(module: WaveformCnn) -> Iterator[None]:
    """Without dropout and with fixed normalisation; the mode is set back afterwards."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
