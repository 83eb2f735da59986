"""The spectral network: shapes, the pooling against a transcription, what it refuses, learning."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.errors import DataError
from edge_ser.lab.architectures.networks import build, network
from edge_ser.lab.architectures.options import SpectralOptions

pytestmark = pytest.mark.needs("torch")


def test_it_takes_log_mel_and_gives_logits_and_embeddings() -> None:
    import torch

    made = build(network("spectral-base"), 4, (98, 64), seed=0).eval()
    features = torch.randn(3, 98, 64)
    assert made(features).shape == (3, 4)
    assert made.embed(features).shape == (3, 128)
    # Other lengths of the same bands too.
    assert made(torch.randn(2, 40, 64)).shape == (2, 4)


def test_the_pooling_is_a_mean_of_frames_weighted_by_each_head() -> None:
    import torch

    from edge_ser.lab.architectures.spectral import AttentionPooling

    torch.manual_seed(1)
    pool = AttentionPooling(6, 2)
    frames = torch.randn(2, 5, 6)
    with torch.no_grad():
        pooled = pool(frames).numpy()
        scores = pool.score(frames).numpy()
    for clip in range(2):
        for head in range(2):
            weights = np.exp(scores[clip, :, head]) / np.exp(scores[clip, :, head]).sum()
            part = frames[clip, :, 3 * head : 3 * head + 3].numpy()
            np.testing.assert_allclose(
                pooled[clip, 3 * head : 3 * head + 3], weights @ part, atol=1e-6
            )


def test_it_learns_which_band_sounds() -> None:
    import torch

    made = build(network("spectral-base"), 2, (32, 16), seed=0)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(32, 32, 16, generator=generator)
    labels = torch.arange(32) % 2
    features[labels == 0, :, :4] += 3
    features[labels == 1, :, 12:] += 3
    optimiser = torch.optim.Adam(made.parameters(), 1e-3)
    for _ in range(10):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(made(features), labels).backward()
        optimiser.step()
    assert (made.eval()(features).argmax(1) == labels).all()


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (16000,), "features of shape"),
        ({}, (98, 7), "at least 8 each for 3 blocks"),
        ({"channels": ()}, (98, 64), "channels are"),
        ({"channels": (32, 0)}, (98, 64), "channels are"),
        ({"channels": (10,)}, (98, 64), "a divisor of the last channels 10"),
        ({"heads": 0}, (98, 64), "heads is 0"),
        ({"dropout": 1.0}, (98, 64), "dropout is 1.0"),
    ],
)
def test_what_cannot_be_taken_is_said(
    options: dict[str, object], shape: tuple[int, ...], message: str
) -> None:
    from edge_ser.lab.architectures import spectral

    with pytest.raises(DataError, match=message):
        spectral.build(SpectralOptions(**options), 4, shape)  # type: ignore[arg-type]


def test_no_classes_are_too_few() -> None:
    from edge_ser.lab.architectures import spectral

    with pytest.raises(DataError, match="0 classes"):
        spectral.build(SpectralOptions(), 0, (98, 64))
