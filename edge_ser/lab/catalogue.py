"""`models/README.md` from the cards: what each shipped model is, measures and may be used for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ser.bench.macs import macs
from edge_ser.card import ModelCard, Provenance, read_model
from edge_ser.evaluation.report import markdown_table

__all__ = ["catalogue", "families", "read_latency"]

Latency = Mapping[str, float]
"""File name -> milliseconds of one clip through the graph, median, on one machine."""

FORMS = ("-dynamic", "-int8", "-float16")
NON_COMMERCIAL = "edge_ser_models_nc"
"""Folder of the distribution whose files are marked."""
CARD_DIGITS = 4
"""To which cards round `metrics`."""
TOLD_COVERAGES = (0.8, 0.5)
"""Of the risk-coverage curve in a card, what a sentence tells."""


def catalogue(files: Sequence[Path], latency: Mapping[str, Any]) -> str:
    """The generated part of models/README.md.

    Args:
        files: model files with their cards, of all distributions.
        latency: `machine` in words and `ms` by file name, as `scripts/models_readme.py --measure`
            records it; a file that it lacks shows none.

    Raises:
        ModelError: a file is damaged or does not run.
    """
    parts = [_overview(files, latency)]
    for name, members in families(files).items():
        card = read_model(members[0]).card
        parts.append("\n\n".join(_about(name, card)))
    return "\n\n".join(parts) + "\n"


def families(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files of the same weights: name -> float32 first, then the other forms and runtimes."""
    grouped: dict[str, list[Path]] = {}
    for path in sorted(files, key=lambda path: (_stem(path), len(path.stem), path.suffix)):
        grouped.setdefault(_stem(path), []).append(path)
    return grouped


def _stem(path: Path) -> str:
    stem = path.stem
    for form in FORMS:
        stem = stem.removesuffix(form)
    return stem


def _overview(files: Sequence[Path], latency: Mapping[str, Any]) -> str:
    rows = []
    for members in families(files).values():
        for path in members:
            known = read_model(path).card.provenance
            took = latency.get("ms", {}).get(path.name)
            counted = macs(path)
            rows.append(
                (
                    f"`{path.name}`" + (" nc" if path.parent.name == NON_COMMERCIAL else ""),
                    known.network,
                    "" if known.parameters is None else f"{known.parameters:,}",
                    f"{path.stat().st_size / 1e6:.2f}",
                    f"{counted.total / 1e6:.1f}" + ("+" if counted.uncounted else ""),
                    "" if took is None else f"{took:.2f}",
                    _tenths(_pooled(known, "accuracy")),
                    _tenths(_pooled(known, "uar")),
                    _spread(known.metrics, "accuracy"),
                    _spread(known.metrics, "uar"),
                    known.licence,
                )
            )
    head = (
        *("file", "network", "parameters", "MB", "MMAC", "ms", "accuracy, pooled, %"),
        *("UAR, pooled, %", "accuracy, mean ± deviation", "UAR, mean ± deviation", "licence"),
    )
    machine = latency.get("machine", "no machine yet")
    return "\n\n".join(
        [
            markdown_table(head, rows),
            "nc: of edge-ser-models-nc. MMAC: million multiply-accumulates of one clip, of the "
            "file's own operators. ms: one clip through the graph, median, one thread, on "
            f"{machine}. Accuracy and UAR (the mean recall of the labels): by the protocol that "
            "each model's section names, of all clips together (pooled) and as mean ± standard "
            "deviation over folds; smaller forms of a network have its figures here, and their "
            "cards say what they lose.",
        ]
    )


def _pooled(known: Provenance, name: str) -> float | None:
    """Accuracy or UAR of all clips together; of one split, its figure.

    The row `clean` of the robustness table, where it is the same figure: rounding the card's four
    digits once more may end a tenth off.
    """
    value = known.metrics.get(f"{name}_pooled", known.metrics.get(name))
    if not isinstance(value, float):
        return None
    clean = getattr(known.robustness[0], name) if known.robustness else value
    return float(clean) if round(clean, CARD_DIGITS) == value else value


def _tenths(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _spread(metrics: Mapping[str, object], name: str) -> str:
    mean, deviation = metrics.get(name), metrics.get(f"{name}_std")
    if not isinstance(mean, float):
        return ""
    return f"{100 * mean:.1f}" + (
        f" ± {100 * deviation:.1f}" if isinstance(deviation, float) else ""
    )


def _about(name: str, card: ModelCard) -> Iterator[str]:
    known = card.provenance
    yield f"## {name}"
    yield f"Labels: {', '.join(card.labels)}."
    yield f"Trained on {known.data}."
    yield f"Protocol: {known.protocol}"
    yield f"Intended use: {known.intended_use}"
    yield from _by_corpus(known.metrics)
    yield from _calibration(card)
    if known.robustness:
        clean = known.robustness[0]
        rows = [
            (r.condition, _percent(r.accuracy), _percent(r.uar), f"{r.uar / clean.uar:.0%}")
            for r in known.robustness
        ]
        among = " among all labels," if _corpora(known.metrics) else ""
        yield f"Each condition alone,{among} by models that never heard the speaker:"
        yield markdown_table(("condition", "accuracy", "UAR", "of clean UAR"), rows)


def _corpora(metrics: Mapping[str, object]) -> list[str]:
    """Of several corpora those that `provenance` has figures of; a clip knows its own's labels."""
    return [
        name.removeprefix("uar_")
        for name in metrics
        if name.startswith("uar_")
        and f"accuracy_{name[4:]}" in metrics
        and name not in ("uar_std", "uar_pooled")
    ]


def _by_corpus(metrics: Mapping[str, object]) -> Iterator[str]:
    found = [
        f"{name} {_percent(metrics[f'accuracy_{name}'])} (UAR {_percent(metrics[f'uar_{name}'])})"
        for name in _corpora(metrics)
    ]
    if found:
        yield (
            "Each corpus's clips, answered among its own labels by models that never heard the "
            f"speaker: {', '.join(found)}."
        )


def _calibration(card: ModelCard) -> Iterator[str]:
    output, metrics = card.output, card.provenance.metrics
    if output.ece is None:
        return
    said = (
        f"Calibration: temperature {output.temperature:.2f}, expected calibration error "
        f"{output.ece:.3f}."
    )
    points = [
        f"{_percent(value)} of the {share:.0%} most confident"
        for share in TOLD_COVERAGES
        if isinstance(value := metrics.get(f"accuracy_at_coverage_{round(100 * share)}"), float)
    ]
    if points:
        among = " (each among its corpus's labels)" if _corpora(metrics) else ""
        said += (
            f" Right are {_percent(_pooled(card.provenance, 'accuracy'))} of all clips{among}, "
            f"{', '.join(points)}."
        )
    if output.uncertain_below is not None:
        said += f" Results below {output.uncertain_below:.2f} are called uncertain"
        sides = [metrics.get(f"accuracy_{side}") for side in ("uncertain", "certain")]
        if all(isinstance(side, float) for side in sides):
            said += f": {_percent(sides[0])} of them are right, {_percent(sides[1])} of the others"
        said += "."
    yield said


def _percent(value: object) -> str:
    assert isinstance(value, float)
    return f"{100 * value:.1f} %"


def read_latency(path: Path) -> dict[str, Any]:
    """The record of `scripts/models_readme.py --measure`; empty where there is none."""
    return dict(json.loads(path.read_text())) if path.exists() else {}
