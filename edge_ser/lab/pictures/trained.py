"""What a training made of a 1-D convolutional network: all pictures of a run folder's weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.audio import fit, read_clip, resample
from edge_ser.corpora import Utterance
from edge_ser.errors import DataError
from edge_ser.frontend import Frontend
from edge_ser.lab.architectures.networks import build
from edge_ser.lab.architectures.weights import load_weights
from edge_ser.lab.compute import prepare_torch
from edge_ser.lab.pictures.activation import draw_class_activation, draw_feature_maps
from edge_ser.lab.pictures.network import draw_filters, draw_frequency_view
from edge_ser.lab.runs import Run

if TYPE_CHECKING:
    from edge_ser.lab.architectures.waveform_cnn import WaveformCnn

__all__ = ["FAMILY", "TRAINED", "check_family", "draw_trained", "trained_network"]

FAMILY = "waveform-cnn"
FILTERS = ("filters_1.png", "filters_2.png")
VIEW, MAPS, ACTIVATION = "frequency_view.png", "feature_maps.png", "class_activation.png"
TRAINED = (*FILTERS, VIEW, MAPS, ACTIVATION)
"""Files that `draw_trained` writes; a network of one convolution has no filters_2.png."""


def check_family(run: Run) -> None:
    """Refuse a run whose network these pictures cannot show, or that has no weights yet.

    Raises:
        DataError: it is such a run.
    """
    family = run.experiment.network.family
    if family != FAMILY:
        raise DataError(
            f"{run.folder}: a network of family {family}, expected {FAMILY}, which the pictures "
            "of a trained network are for: name such a run"
        )
    if not run.weights.is_file():
        raise DataError(
            f"{run.folder}: no {run.weights.name} in it, expected the weights of an epoch: "
            "go on with the training"
        )


def trained_network(run: Run) -> WaveformCnn:
    """The network of a run with the weights that it keeps, finished or not, in evaluation mode.

    Raises:
        DataError: see `check_family`.
        DependencyError: torch is not installed.
        ModelError: the weights cannot be read, or are of another network.
    """
    check_family(run)
    prepare_torch()
    data, network = run.experiment.data, run.experiment.network
    module: WaveformCnn = build(network, len(run.classes), data.spec().shape(data.clip_samples))
    load_weights(module, run.weights, network)
    module.eval()
    return module


def draw_trained(run: Run, utterance: Utterance, folder: Path, title: str) -> None:
    """Filters, their frequencies, and what the network makes of a clip: feature maps, and what
    speaks for the class that it answers.

    Args:
        run: of the family waveform-cnn.
        utterance: the clip, taken as training takes it.
        folder: for the files of `TRAINED`, which are replaced.
        title: of the clip; the answer is put before it.

    Raises:
        AudioError: the clip cannot be decoded.
        DataError: see `check_family`.
        DependencyError: torch or matplotlib is not installed.
        ModelError: the weights cannot be read, or are of another network.
        StorageError: a file cannot be written.
    """
    module = trained_network(run)
    import torch

    data, spec = run.experiment.data, run.experiment.data.spec()
    clip = resample(read_clip(str(utterance.path)), spec.rate, spec.resampler)
    samples = Frontend(spec)(fit(clip.samples, data.clip_samples, data.pad_side))
    with torch.inference_mode():
        answer = int(module(torch.from_numpy(samples)[None])[0].argmax())

    epochs = f"{len(run.rows)} of {run.experiment.training.epochs} epochs"
    of = f"{run.experiment.network.name}, weights kept after {epochs}"
    for number, file in enumerate(FILTERS[: len(module.row)], 1):
        draw_filters(module, spec.rate, folder / file, number, of)
    draw_frequency_view(module, spec.rate, folder / VIEW, of)
    draw_feature_maps(module, samples, spec.rate, folder / MAPS, title)
    answered = f"answered {run.classes[answer]}; {title}"
    draw_class_activation(module, samples, spec.rate, answer, folder / ACTIVATION, answered)
