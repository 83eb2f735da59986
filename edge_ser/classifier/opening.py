"""Opening a model by name: the installed file, its hashes, its runtime."""

from __future__ import annotations

from pathlib import Path

from edge_ser.card import naming, read_model
from edge_ser.classifier.model import Classifier
from edge_ser.classifier.profile import Profile, read_profile
from edge_ser.errors import ModelError
from edge_ser.runtime import open_model
from edge_ser.zoo import find_model

__all__ = ["load_model"]


def load_model(
    name: str | Path | None = None,
    provider: str = "cpu",
    threads: int = 1,
    allow_untrained: bool = False,
    profile: str | Path | Profile | None = None,
) -> Classifier:
    """Open a model: a file, an installed name such as `emotion-emodb`, or the default model.

    Args:
        name: path, installed file name or alias; None is the default model.
        provider: `cpu`, `cuda`, `tensorrt`: the one that runs the graph, or an error.
        threads: threads of the runtime.
        allow_untrained: also open a file whose weights were never trained (latency work).
        profile: of the person who is heard: what `edge-ser adapt --unlabelled` wrote.

    Raises:
        ModelError: the file is missing, damaged, without a card, or untrained.
        ConfigError: there is no profile in that file.
        ProviderError: no runtime is installed, or the provider did not take the graph.
    """
    model = read_model(find_model(name, provider))
    if model.card.provenance.state == "untrained" and not allow_untrained:
        raise ModelError(
            f"{model.path}: these weights were never trained, expected a trained model; "
            "its results would mean nothing (for latency work: allow_untrained, --allow-untrained)"
        )
    with naming(model.path):
        interpreter = open_model(model.payload, provider, threads)
    known = profile if isinstance(profile, Profile | None) else read_profile(Path(profile))
    return Classifier(model, interpreter, known)
