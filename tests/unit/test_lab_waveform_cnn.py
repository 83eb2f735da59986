"""The 1-D CNNs: lengths, work, features, where values lie, what they refuse, and learning."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge_ser.errors import DataError
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.architectures.options import WaveformCnnOptions

with contextlib.suppress(ImportError):  # then every test here is left out
    import torch
    from torch import nn

    from edge_ser.lab.architectures import waveform_cnn

pytestmark = pytest.mark.needs("torch")

CHECKOUT = Path(__file__).resolve().parents[2]
GROWING = ("custom", "steep", "shrinking", "steep+shrinking")
SMALL = WaveformCnnOptions(width=8, depth=3)
NORMALISED = replace(SMALL, normalise="convolutions+features")

MILLION_MACS = {
    "cnn-baseline": (47.4, 47.4),
    "cnn-custom-32-8": (132.8, 45.9),
    "cnn-custom-64-8": (525.9, 178.6),
    "cnn-vgg": (839.1, 412.7),
    "cnn-custom-128-9": (2097.7, 705.3),
    "cnn-features-32": (485.9, 165.4),
    "cnn-features-128": (7713.6, 2584.3),
}
"""Of a clip of 16,000 samples: unpooled first, unpooled last."""


def seeded(
    options: WaveformCnnOptions = SMALL, samples: int = 300, classes: int = 4, seed: int = 0
) -> Any:
    torch.manual_seed(seed)
    return waveform_cnn.build(options, classes, (samples,))


def clips(samples: int = 300, count: int = 5) -> Any:
    return torch.rand(count, samples, generator=torch.Generator().manual_seed(1)) * 2 - 1


def used(module: Any) -> Any:
    """The module with statistics and scales as if it had been trained, in evaluation mode."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d):
                for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                    values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
    return module.eval()


@pytest.mark.parametrize("unpooled", ["first", "last"])
@pytest.mark.parametrize("name", MILLION_MACS)
def test_the_published_networks_cost_what_their_counts_imply(name: str, unpooled: Any) -> None:
    options = replace(network(name).options, unpooled=unpooled)
    with torch.device("meta"):
        module = waveform_cnn.build(options, 16, (16_000,))
        macs = []
        for layer in module.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                layer.register_forward_hook(
                    lambda layer, given, gave: macs.append(
                        gave[0].numel() // gave.shape[1] * layer.weight.numel()
                    )
                )
        module.eval()(torch.zeros(1, 16_000))
    assert sum(macs) / 1e6 == pytest.approx(MILLION_MACS[name][unpooled == "last"], abs=0.11)


def test_lengths_are_the_published_ones() -> None:
    row = waveform_cnn.blocks(WaveformCnnOptions(depth=9, unpooled="first"))
    assert waveform_cnn.lengths(row, 16_000) == [16_000, 5333, 1777, 592, 197, 65, 21, 7, 2]
    row = waveform_cnn.blocks(WaveformCnnOptions("baseline"))
    assert waveform_cnn.lengths(row, 16_000) == [3994, 993, 243, 55, 8]


@pytest.mark.parametrize(
    ("schedule", "channels"),
    [
        ("custom", [32, 32, 32, 32, 64, 64, 64, 64, 128]),
        ("steep", [32, 32, 32, 64, 64, 64, 128, 128, 128]),
        ("shrinking", [32, 32, 32, 32, 16, 16, 16, 16, 8]),
        ("steep+shrinking", [32, 32, 32, 16, 16, 16, 8, 8, 8]),
    ],
)
def test_channels_go_by_the_schedule(schedule: Any, channels: list[int]) -> None:
    row = waveform_cnn.blocks(WaveformCnnOptions(schedule, depth=9))
    assert [block.channels for block in row] == channels


@settings(max_examples=25)
@given(
    schedule=st.sampled_from(GROWING),
    depth=st.integers(1, 9),
    unpooled=st.sampled_from(["first", "last"]),
    more=st.integers(0, 400),
)
@example("baseline", 8, "last", 0)
@example("baseline", 8, "last", 161)
@example("vgg", 8, "first", 7)
@example("vgg", 8, "last", 0)
def test_any_length_from_the_shortest_on_is_taken(
    schedule: Any, depth: int, unpooled: Any, more: int
) -> None:
    options = WaveformCnnOptions(schedule, 4, depth, unpooled)
    row = waveform_cnn.blocks(options)
    shortest = waveform_cnn.shortest(row)
    assume(shortest > 1 or more)
    samples = shortest + more
    with torch.device("meta"):
        found = waveform_cnn.build(options, 3, (samples,)).activations(torch.zeros(1, samples))
        with pytest.raises(DataError, match=f"clips of {shortest - 1} samples, .* {shortest} to"):
            waveform_cnn.build(options, 3, (shortest - 1,))
    lengths = [found[f"convolution{n}"].shape[2] for n in range(1, len(row) + 1)]
    assert lengths == waveform_cnn.lengths(row, samples)
    assert found["logits"].shape == (1, 3)


@pytest.mark.parametrize(("name", "size"), [("cnn-features-32", 32), ("cnn-features-128", 128)])
def test_the_published_feature_extractors_give_32_and_128(name: str, size: int) -> None:
    with torch.device("meta"):
        module = waveform_cnn.build(network(name).options, 16, (16_000,))
        assert module.eval().embed(torch.zeros(2, 16_000)).shape == (2, size)


@pytest.mark.parametrize("options", [SMALL, NORMALISED, WaveformCnnOptions("baseline")])
def test_features_and_activations_are_those_of_the_logits(options: WaveformCnnOptions) -> None:
    samples = 9000 if options.schedule == "baseline" else 300
    module, x = used(seeded(options, samples)), clips(samples)
    with torch.no_grad():
        found = module.activations(x)
        assert torch.equal(found["logits"], module(x))
        assert torch.equal(found["features"], module.embed(x))
        assert torch.equal(module.dense(module.embed(x)), module(x))
    names = [f"convolution{n + 1}" for n in range(len(module.row))]
    assert list(found) == [*names, "features", "logits"]
    assert min(float(found[name].min()) for name in names) >= 0
    assert np.array_equal(found["features"].shape, (5, module.dense[0].in_features))


def test_a_block_is_convolution_normalisation_relu_maximum() -> None:
    module, x = used(seeded(replace(NORMALISED, depth=2))), clips()
    block = module.blocks[0]
    kernel, norm = block.convolution.weight.detach(), block.norm
    windows = nn.functional.pad(x, (2, 2)).unfold(1, 5, 1)
    values = torch.einsum("nlk,ck->ncl", windows, kernel[:, 0])
    values = values + block.convolution.bias.detach()[:, None] - norm.running_mean[:, None]
    values = values / (norm.running_var[:, None] + norm.eps).sqrt() * norm.weight[:, None]
    values = (values + norm.bias[:, None]).clamp(min=0)
    expected = values.reshape(5, 8, 100, 3).amax(-1)
    found = module.activations(x)
    torch.testing.assert_close(found["convolution1"], expected)
    assert found["convolution2"].shape == (5, 8, 100)


@pytest.mark.parametrize(
    "options",
    [
        SMALL,
        replace(SMALL, unpooled="first"),
        WaveformCnnOptions("baseline"),
        replace(SMALL, depth=5),
    ],
)
def test_places_are_where_values_come_from(options: WaveformCnnOptions) -> None:
    samples = 9000 if options.schedule == "baseline" else 3000
    module = seeded(options, samples).eval()
    for block in module.blocks:
        nn.init.ones_(block.convolution.weight)
        if hasattr(block, "pool"):  # a maximum has one way, a mean has them all
            block.pool = nn.AvgPool1d(block.pool.kernel_size, ceil_mode=block.pool.ceil_mode)
    x = clips(samples, 1).abs().requires_grad_()
    found = module.activations(x)
    for number in range(1, 4):
        maps, places = found[f"convolution{number}"][0, 0], module.places(number)
        position = len(maps) // 2
        (gradient,) = torch.autograd.grad(maps[position], x, retain_graph=True)
        seen = gradient[0].nonzero()
        assert int(seen[-1] - seen[0]) + 1 == places.reach
        assert float(seen[-1] + seen[0]) / 2 == places.centre + position * places.step


def test_a_signal_keeps_its_power_through_nine_convolutions() -> None:
    module = seeded(WaveformCnnOptions(width=32, depth=9), 8000)
    with torch.no_grad():
        maps = module.eval().convolve(clips(8000))
    assert 0.1 < float(maps.square().mean() / clips(8000).square().mean()) < 100


def test_it_learns_other_data_of_one_dimension() -> None:
    """Three classes of noisy sines by frequency, in clips of 200 values."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(60) % 3
    phases = torch.rand(60, 1, generator=generator) * 6.28
    x = torch.sin(torch.arange(200) * 0.2 * (labels[:, None] + 1) + phases)
    x = x + 0.1 * torch.randn(x.shape, generator=generator)
    module = seeded(replace(NORMALISED, dropout=0.1), 200, classes=3)
    optimiser = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(20):
        loss = nn.functional.cross_entropy(module(x[:30]), labels[:30])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        assert float((module.eval()(x[30:]).argmax(1) == labels[30:]).float().mean()) > 0.9


def test_filters_are_a_copy() -> None:
    module = seeded()
    filters = module.filters(2)
    assert filters.shape == (8, 8, 5)
    assert torch.equal(filters, module.blocks[1].convolution.weight.detach())
    filters.zero_()
    assert float(module.filters(2).abs().max()) > 0


@pytest.mark.parametrize(
    ("options", "shape", "said"),
    [
        (SMALL, (300, 1), r"shape \(300, 1\), expected \(samples,\)"),
        (SMALL, (8,), "8 samples, a network of 3 convolutions needs 9 to"),
        (WaveformCnnOptions("vgg"), (2186,), "the network 'vgg' needs 2187 to"),
        (WaveformCnnOptions("baseline"), (8184,), "the network 'baseline' needs 8185 to"),
        (SMALL, (1 << 25,), "expected at most 16777216"),
        (replace(SMALL, depth=10), (300,), "depth is 10, expected 1 to 9"),
        (replace(SMALL, depth=0), (300,), "depth is 0, expected 1 to 9"),
        (replace(SMALL, width=0), (300,), "width is 0, expected 1 to 4096"),
        (replace(SMALL, dropout=1.0), (300,), "dropout is 1.0, expected 0 to below 1"),
        (replace(SMALL, schedule="wide"), (300,), "schedule is 'wide', expected one of baseline"),  # type: ignore[arg-type]
        (replace(SMALL, unpooled="none"), (300,), "unpooled is 'none', expected one of first"),  # type: ignore[arg-type]
        (replace(SMALL, normalise="all"), (300,), "normalise is 'all', expected one of none"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_built_is_said(
    options: WaveformCnnOptions, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        waveform_cnn.build(options, 4, shape)
    assert "\n" not in str(caught.value)
