"""What the cards of our models say: data, licence, intended and excluded use, versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType

from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.lab.architectures.networks import Family
from edge_ser.lab.calibration import Calibration
from edge_ser.lab.experiment import DataOptions

__all__ = ["SOURCES", "Source", "card_for", "source_of", "tools"]

EXCLUDED_USE = (
    "Not evidence of what a person feels, means or intends; no decision about a person may rest on "
    "it. Not for inferring emotions at work or in education, which is prohibited in the European "
    "Union (AI Act, Regulation (EU) 2024/1689, Art. 5(1)(f)). Not to be used on people who were "
    "not informed: those exposed to an emotion recognition system must be told (Art. 50(3))."
)

UNTRAINED_USE = (
    "Latency and memory measurements. The weights are random and its results mean nothing."
)

EMOTION = "speech emotion recognition"

PACKAGES = (
    *("edge-ser", "keras", "litert-torch", "numpy", "onnx", "onnxruntime", "soxr"),
    *("tensorflow", "tensorflow-cpu", "tf2onnx", "torch", "transformers"),
)


SEGMENTING: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "functionals": MappingProxyType(
            {"smooth_ms": 200.0, "leave_db": 4.0, "min_silence_ms": 450.0}
        )
    }
)
"""Options of the speech gate by kind of frontend, where others than its defaults serve better:
statistics over an utterance want all of it, its soft end too (docs/experiments.md, listening)."""


@dataclass(frozen=True)
class Source:
    """What is to be said of a corpus."""

    data: str
    """Who recorded it, and on which terms; how much of it was used, a run tells."""
    licence: str
    """SPDX expression for weights trained on it."""
    intended_use: str = ""
    bandwidth_hz: float | None = None
    """Hertz up to which its recordings reach."""
    task: str = EMOTION


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "emodb": Source(
            data=(
                "EMO-DB, the Berlin Database of Emotional Speech (F. Burkhardt, A. Paeschke, "
                "M. Rolfes, W. F. Sendlmeier, B. Weiss: A Database of German Emotional Speech, "
                "Interspeech 2005), CC0-1.0 as republished by audEERING"
            ),
            licence="CC0-1.0",
            intended_use=(
                "Research, teaching and demonstrations on recorded or live speech of people who "
                "know of it. It tells how German emotions acted by a few speakers in a studio "
                "sound; other voices, languages, rooms and spontaneous speech are unlike its "
                "training."
            ),
            # Recorded at 16 kHz.
            bandwidth_hz=8000.0,
        ),
        "ravdess": Source(
            data=(
                "RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song, speech "
                "part (S. R. Livingstone, F. A. Russo, PLoS ONE 13(5): e0196391, 2018), "
                "CC BY-NC-SA 4.0"
            ),
            licence="CC-BY-NC-SA-4.0",
            intended_use=(
                "Non-commercial research and teaching on recorded or live speech of people who "
                "know of it. It tells how North American English emotions acted by a few "
                "speakers in a studio sound; other voices, accents, languages, rooms and "
                "spontaneous speech are unlike its training."
            ),
        ),
        "emovo": Source(
            data=(
                "EMOVO, an Italian emotional speech database (G. Costantini, I. Iaderola, "
                "A. Paoloni, M. Todisco, LREC 2014), for research, no formal licence known, "
                "mono mix of a two-microphone recording"
            ),
            licence="LicenseRef-EMOVO-research",
            intended_use=(
                "Non-commercial research and teaching on recorded or live speech of people who "
                "know of it. It tells how Italian emotions acted by a few speakers sound; other "
                "voices, languages, rooms and spontaneous speech are unlike its training."
            ),
        ),
        "speech_commands": Source(
            data=("Speech Commands (P. Warden, arXiv:1804.03209), CC BY 4.0"),
            licence="CC-BY-4.0",
            intended_use=(
                "Research and demonstrations of 1-D networks on raw samples: it names one of "
                "a few English words in a clip of one second. It knows no other words, and no "
                "silence."
            ),
            bandwidth_hz=8000.0,
            task="spoken word recognition",
        ),
    }
)


def source_of(corpus: str) -> Source | None:
    """What is known of a corpus, or of several joined by `+`; None where one of them is unknown."""
    parts = [SOURCES.get(name) for name in corpus.split("+")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    strictest = next((part for part in known if "on-commercial" in part.intended_use), known[0])
    heard = [part.bandwidth_hz for part in known if part.bandwidth_hz]
    return Source(
        data="; ".join(part.data for part in known),
        licence=" AND ".join(dict.fromkeys(part.licence for part in known)),
        intended_use=(
            f"{strictest.intended_use.partition('It tells')[0]}It tells how emotions acted by a "
            "few speakers of a few languages sound; other voices, languages, rooms and spontaneous "
            "speech are unlike its training."
        ),
        # A corpus that is not known to be narrower reaches as far as its rate.
        bandwidth_hz=max(heard) if len(heard) == len(known) else None,
        task=known[0].task,
    )


def card_for(
    name: str,
    labels: Sequence[str],
    provenance: Provenance,
    data: DataOptions,
    kind: Family,
    source: Source | None = None,
    calibration: Calibration | None = None,
) -> ModelCard:
    """The card of a network of ours; the exporter adds names of outputs and goldens."""
    output = OutputSpec(kind=kind.output)
    if calibration is not None:
        output = OutputSpec(
            kind=kind.output,
            temperature=calibration.temperature,
            ece=calibration.ece,
            uncertain_below=calibration.uncertain_below,
        )
    spec = data.spec()
    return ModelCard(
        name=name,
        task=source.task if source else EMOTION,
        labels=tuple(labels),
        input=InputSpec(
            rate=spec.rate,
            clip_samples=data.clip_samples,
            pad_side=data.pad_side,
            pad_mode="zeros",
            layout=kind.layout,
            source_bandwidth_hz=source.bandwidth_hz if source else None,
        ),
        frontend=(spec,),
        output=output,
        provenance=provenance,
        segmenting=dict(SEGMENTING.get(spec.kind, {})),
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
