"""Pictures of networks: what they show is right, and each is one whole PNG file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError
from edge_ser.lab.architectures.options import WaveformCnnOptions
from edge_ser.lab.pictures.activation import (
    class_activation,
    draw_class_activation,
    draw_feature_maps,
)
from edge_ser.lab.pictures.network import draw_filters, draw_frequency_view, frequency_responses

with contextlib.suppress(ImportError):  # then every test here is left out
    import torch
    from torch import nn

    from edge_ser.lab.architectures import waveform_cnn

pytestmark = pytest.mark.needs("torch", "matplotlib")

RATE = 16_000
SMALL = WaveformCnnOptions(width=6, depth=3)
NORMALISED = replace(SMALL, normalise="convolutions+features")
BASELINE = WaveformCnnOptions("baseline")


def seeded(options: WaveformCnnOptions = SMALL, samples: int = 400) -> Any:
    torch.manual_seed(0)
    module = waveform_cnn.build(options, 3, (samples,))
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.running_mean, 0.0, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
            nn.init.uniform_(layer.weight, 0.5, 2.0)
            nn.init.uniform_(layer.bias, 0.0, 0.2)
    return module


def clip(samples: int = 400) -> Any:
    return np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32)


def picture(draw: Callable[[Path], None], path: Path) -> Any:
    """Pixels of what was drawn, which alone is in the folder."""
    from matplotlib import image

    draw(path)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    return image.imread(path)


@pytest.mark.parametrize(
    ("options", "convolution"),
    [(SMALL, 1), (SMALL, 3), (BASELINE, 1), (BASELINE, 2), (replace(SMALL, width=70), 1)],
)
def test_filters_are_drawn(options: WaveformCnnOptions, convolution: int, tmp_path: Path) -> None:
    module = seeded(options, 9000)
    pixels = picture(
        lambda p: draw_filters(module, RATE, p, convolution, "a $ b"), tmp_path / "f.png"
    )
    assert pixels.shape[1] == 1140
    assert pixels.std() > 0.05


def test_the_frequency_view_is_drawn(tmp_path: Path) -> None:
    module = seeded()
    pixels = picture(lambda p: draw_frequency_view(module, RATE, p), tmp_path / "f.png")
    assert pixels.std() > 0.05


def test_a_network_of_zeros_can_be_drawn(tmp_path: Path) -> None:
    module = seeded()
    for weight in module.parameters():
        nn.init.zeros_(weight)
    path = tmp_path / "z.png"
    picture(lambda p: draw_filters(module, RATE, p), path)
    picture(lambda p: draw_filters(module, RATE, p, 2), path)
    picture(lambda p: draw_frequency_view(module, RATE, p), path)
    picture(lambda p: draw_feature_maps(module, 0 * clip(), RATE, p), path)
    picture(lambda p: draw_class_activation(module, 0 * clip(), RATE, 0, p), path)


def test_responses_are_those_of_known_filters() -> None:
    module = seeded(replace(SMALL, width=3))
    with torch.no_grad():
        module.blocks[0].convolution.weight[:, 0] = torch.tensor(
            [[0, 0, 2.0, 0, 0], [1, -1, 1, -1, 1], [0, 1, 1, 1, 0]]
        )
    responses = frequency_responses(module)
    omega = np.linspace(0, np.pi, responses.shape[1])
    np.testing.assert_allclose(responses[0], 2.0, atol=1e-12)
    assert (responses[1].argmax(), responses[1].max()) == (len(omega) - 1, pytest.approx(5))
    np.testing.assert_allclose(responses[2], np.abs(1 + 2 * np.cos(omega)), atol=1e-12)


def test_feature_maps_are_drawn_in_evaluation_mode_and_the_mode_is_kept(tmp_path: Path) -> None:
    module = seeded(NORMALISED).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    path = tmp_path / "m.png"
    first = picture(lambda p: draw_feature_maps(module, clip(), RATE, p, "clip"), path)
    again = picture(lambda p: draw_feature_maps(module, clip(), RATE, p, "clip"), path)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("options", [SMALL, NORMALISED, replace(SMALL, unpooled="first")])
@pytest.mark.parametrize("chosen", [0, 2])
def test_activation_of_a_class_adds_up_to_its_logit(
    options: WaveformCnnOptions, chosen: int
) -> None:
    module = seeded(options)
    added = class_activation(module, clip(), chosen)
    with torch.no_grad():
        maps = module.eval().convolve(torch.tensor(clip())[None])
        rest = module.classify(torch.zeros_like(maps))
        logit = module.classify(maps)
    assert added.shape == (maps.shape[2],)
    assert added.sum() == pytest.approx(float((logit - rest)[0, chosen]), abs=1e-5)


def test_activation_of_a_class_is_weight_times_activation() -> None:
    module = seeded().eval()
    with torch.no_grad():
        maps = module.convolve(torch.tensor(clip())[None])[0]
        expected = (module.dense[-1].weight[1].reshape(maps.shape) * maps).sum(0)
    np.testing.assert_allclose(class_activation(module, clip(), 1), expected, atol=1e-6)


@pytest.mark.parametrize(("options", "samples"), [(SMALL, 400), (BASELINE, 9000)])
def test_activation_without_biases_adds_up_at_every_convolution(
    options: WaveformCnnOptions, samples: int
) -> None:
    module = seeded(options, samples).eval()
    nn.init.zeros_(module.dense[-1].bias)
    with torch.no_grad():
        logit = float(module(torch.tensor(clip(samples))[None])[0, 0])
    for number in range(1, len(module.row) + 1):
        added = class_activation(module, clip(samples), 0, number)
        assert added.sum() == pytest.approx(logit, abs=1e-4)


def test_activation_of_a_class_is_drawn_with_weights_that_are_not_trained(tmp_path: Path) -> None:
    module = seeded().requires_grad_(False)
    for convolution in (None, 1):
        pixels = picture(
            lambda p, n=convolution: draw_class_activation(module, clip(), RATE, 1, p, "two", n),
            tmp_path / "c.png",
        )
        assert pixels.std() > 0.05


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda m, p: draw_filters(m, RATE, p, 4), "convolution 4, expected 1 to 3"),
        (lambda m, p: draw_filters(m, RATE, p, 0), "convolution 0, expected 1 to 3"),
        (lambda m, p: draw_feature_maps(m, clip(401), RATE, p), r"\(401,\), expected \(400,\)"),
        (lambda m, p: draw_class_activation(m, clip(), RATE, 3, p), "class 3, expected 0 to 2"),
        (lambda m, p: draw_class_activation(m, clip(), RATE, -1, p), "class -1, expected 0 to 2"),
        (lambda m, p: draw_class_activation(m, clip(), RATE, 0, p, "", 9), "convolution 9,"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    draw: Callable[[Any, Path], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        draw(seeded(), tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
