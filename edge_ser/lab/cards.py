"""What the cards of our models say: data, licence, intended and excluded use, versions."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.lab.calibration import Calibration
from edge_ser.lab.datasets import CLIP_SAMPLES, FRONTEND

__all__ = ["SOURCES", "Source", "card_for", "commit", "tools"]

EXCLUDED_USE = (
    "Not evidence of what a person feels, means or intends; no decision about a person may rest on "
    "it. Not for inferring emotions at work or in education, which is prohibited in the European "
    "Union (AI Act, Regulation (EU) 2024/1689, Art. 5(1)(f)). Not to be used on people who were "
    "not informed: those exposed to an emotion recognition system must be told (Art. 50(3))."
)

UNTRAINED_USE = (
    "Latency and memory measurements. The weights are random and its results mean nothing."
)

PACKAGES = ("edge-ser", "keras", "numpy", "onnx", "soxr", "tensorflow", "tensorflow-cpu", "tf2onnx")


@dataclass(frozen=True)
class Source:
    """What is to be said of a corpus."""

    data: str
    licence: str
    """SPDX expression for weights trained on it."""
    intended_use: str
    bandwidth_hz: float | None = None
    """Hertz up to which its recordings reach."""


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "emodb": Source(
            data=(
                "EMO-DB, the Berlin Database of Emotional Speech (F. Burkhardt, A. Paeschke, "
                "M. Rolfes, W. F. Sendlmeier, B. Weiss: A Database of German Emotional Speech, "
                "Interspeech 2005), CC0-1.0 as republished by audEERING; 535 utterances, "
                "10 actors, 10 sentences"
            ),
            licence="CC0-1.0",
            intended_use=(
                "Research, teaching and demonstrations on recorded or live speech of people who "
                "know of it. It tells how German emotions acted by ten speakers in a studio sound; "
                "other voices, languages, rooms and spontaneous speech are unlike its training."
            ),
            # Recorded at 16 kHz.
            bandwidth_hz=8000.0,
        ),
    }
)


def card_for(
    name: str,
    labels: Sequence[str],
    provenance: Provenance,
    bandwidth_hz: float | None = None,
    calibration: Calibration | None = None,
) -> ModelCard:
    """The card of one of the published networks; the exporter adds output name and goldens."""
    output = OutputSpec(kind="probabilities")
    if calibration is not None:
        output = OutputSpec(
            kind="probabilities",
            temperature=calibration.temperature,
            ece=calibration.ece,
            uncertain_below=calibration.uncertain_below,
        )
    return ModelCard(
        name=name,
        task="speech emotion recognition",
        labels=tuple(labels),
        input=InputSpec(
            rate=FRONTEND.rate,
            clip_samples=CLIP_SAMPLES,
            pad_side="both",
            pad_mode="zeros",
            layout="NTFC",
            source_bandwidth_hz=bandwidth_hz,
        ),
        frontend=(FRONTEND,),
        output=output,
        provenance=provenance,
    )


def tools() -> dict[str, str]:
    """Versions of what trains and exports, as far as installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def commit() -> str:
    """The git commit of the checkout that this package runs from; empty outside of one."""
    git = shutil.which("git")
    if git is None:
        return ""
    here = Path(__file__).resolve().parent
    found = subprocess.run(
        [git, "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()
