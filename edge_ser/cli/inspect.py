"""`edge-ser inspect`: what a model file says of itself. Opens no runtime, needs no numpy."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.options import complete_model, debug_option
from edge_ser.cli.output import (
    flattened,
    grid,
    output_options,
    refuse_inputs,
    rendered,
    write,
)
from edge_ser.documents import printable
from edge_ser.errors import CardError

if TYPE_CHECKING:
    from edge_ser.card import ConditionFigures, ModelFile
    from edge_ser.frontend import FrontendSpec

__all__ = ["command"]

LINE = 100
"""Columns at which long texts are wrapped."""
LEAST = 20
"""Columns that a text has beside however long a name."""

FOREIGN = """\
To use it with edge-ser, make a file that carries its card:

  edge-ser export {path}{given} --frontend PRESET --clip SECONDS \\
      -o {copy}

--frontend names exactly the features of its training (a preset, or a TOML file of parameters),
--clip the length of the clips that it was trained on. 'edge-ser export --help' has the rest.

Or leave the file as it is, and write the card to {sidecar} beside it:

  from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance, write_sidecar
  from edge_ser.frontend import FrontendSpec

  write_sidecar({name!r}, ModelCard(
      name={stem!r}, task="emotion", labels={labels},
      input=InputSpec(rate={rate}, clip_samples=...),  # the clip it was trained on, in samples
      frontend=(FrontendSpec(kind=..., rate={rate}),),  # exactly the features of its training
      output=OutputSpec(kind="probabilities"),  # or "logits"
      provenance=Provenance(state="trained", licence=...),
  ))

The labels stand in the order of the model's output. Then 'edge-ser inspect' shows the card."""
UNNAMED = " --labels A,B,C"
"""What `export` has to be told of a model that does not name its labels."""


def _frontend(spec: FrontendSpec, clip_samples: int) -> str:
    """One block in a line."""
    shape = " x ".join(map(str, spec.shape(clip_samples)))
    if spec.kind == "waveform":
        return f"waveform, {shape} samples, normalised: {spec.normalise}"
    if spec.kind == "pitch":
        return (
            f"pitch, {shape}: semitones and strength, {spec.pitch_floor:g} to "
            f"{spec.pitch_ceiling:g} Hz, {spec.window} window of {spec.win_length} in an FFT of "
            f"{spec.n_fft}, hop {spec.hop_length}"
        )
    if spec.kind == "functionals":
        pooled = f", {spec.pool_bands} averaged" if spec.pool_bands > 1 else ""
        return (
            f"functionals: {spec.width:,} statistics over the clip of {spec.n_mels} mel bands "
            f"({spec.mel_scale}{pooled}) of {spec.fmin:g} to {spec.fmax:g} Hz, "
            f"{spec.n_mfcc} cepstra, level and pitch of {spec.pitch_floor:g} to "
            f"{spec.pitch_ceiling:g} Hz, {spec.window} window of {spec.win_length} in an FFT of "
            f"{spec.n_fft}, hop {spec.hop_length}"
        )
    count = f"{spec.n_mfcc} coefficients of " if spec.kind == "mfcc" else ""
    limit = "" if spec.top_db is None else f", top_db {spec.top_db:g}"
    return (
        f"{spec.kind}, {shape}: {count}{spec.n_mels} mel bands ({spec.mel_scale}) of "
        f"{spec.fmin:g} to {spec.fmax:g} Hz, {spec.window} window of {spec.win_length} in an FFT "
        f"of {spec.n_fft}, hop {spec.hop_length}, log {spec.log}{limit}"
    )


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    return ((name, leaf) for name, leaf in flattened(values) if str(leaf).strip())


def _section(title: str, values: Mapping[str, Any]) -> Iterator[str]:
    """The leaves below a title, their values aligned; nothing where there are none."""
    leaves = [
        (printable(name.replace("_", " ")), printable(leaf)) for name, leaf in _leaves(values)
    ]
    if not leaves:
        return
    yield ""
    yield title
    width = max(len(name) for name, _ in leaves)
    for name, leaf in leaves:
        lines = textwrap.wrap(
            leaf, max(LEAST, LINE - width - 4), break_long_words=False, break_on_hyphens=False
        )
        yield f"  {name:{width}}  {lines[0]}"
        yield from (f"  {'':{width}}  {line}" for line in lines[1:])


def _robustness(rows: Sequence[ConditionFigures]) -> Iterator[str]:
    """Accuracy and UAR under each condition, in the order of the card."""
    if not rows:
        return
    yield ""
    yield "Robustness"
    cells = [[row.condition, f"{row.accuracy:.3f}", f"{row.uar:.3f}"] for row in rows]
    columns = ("accuracy", "UAR")
    yield from (f"  {line}" for line in grid(["condition", *columns], cells, right=columns))


def _readable(model: ModelFile) -> Iterator[str]:
    card = model.card
    known, goldens = card.provenance, card.goldens
    yield f"{card.name}: {card.task}"
    head: dict[str, object] = {
        "file": f"{model.path} ({model.kind}, {model.path.stat().st_size} bytes)",
        "labels": list(card.labels),
        "head": "" if card.head is None else f"adapted: labels made of {card.head.values} values",
        "state": known.state,
        "licence": known.licence or "unknown",
        "hashes": "card and model are as they were exported",
        "goldens": "none" if goldens is None else "present: 'edge-ser verify' runs them",
        "card schema": card.schema,
    }
    yield from _section("Model", head)
    document = card.to_dict()
    blocks = [_frontend(spec, card.input.clip_samples) for spec in card.frontend]
    seconds = f"{card.input.clip_samples / card.input.rate:.3f}"
    yield from _section("Input", document["input"] | {"clip_seconds": seconds})
    names = ["features"] if len(blocks) == 1 else [f"block {n}" for n in range(1, len(blocks) + 1)]
    yield from _section(
        "Frontend (complete with --format json)", dict(zip(names, blocks, strict=True))
    )
    yield from _section("Output and calibration", document["output"])
    yield from _section("Recommended segmenting", document["segmenting"])
    yield from _section("Recommended deciding", document["deciding"])
    trained = {"network": known.network, "parameters": known.parameters, "data": known.data}
    yield from _section("Trained on", {**trained, "speakers": list(known.speakers)})
    yield from _section("Measured", {"protocol": known.protocol, **known.metrics})
    yield from _robustness(known.robustness)
    use = {"intended": known.intended_use, "excluded": known.excluded_use}
    yield from _section("Use", use)
    made = {"commit": known.commit, **known.tools, "training_clips": len(known.training_clips)}
    yield from _section("Made with", made)


def _foreign(path: Path) -> dict[str, Any]:
    """What a model without a card of ours says of itself, and what it lacks."""
    from edge_ser.card import describe_foreign, sidecar_path
    from edge_ser.container import kind_of, read_file

    said = describe_foreign(path)
    missing = {
        "labels": not said.labels,
        "rate": said.rate is None,
        "clip length": True,
        "frontend": True,
        "calibration": True,
    }
    return {
        "path": str(path),
        "kind": kind_of(read_file(path)),
        "bytes": path.stat().st_size,
        "card": None,
        "name": said.name,
        "description": said.description,
        "author": said.author,
        "licence": said.licence,
        "labels": list(said.labels),
        "rate": said.rate,
        "missing": [name for name, lacks in missing.items() if lacks],
        "sidecar": sidecar_path(path).name,
    }


def _foreign_readable(found: Mapping[str, Any]) -> Iterator[str]:
    path = Path(found["path"])
    name = path.name
    yield f"{printable(found['path'])}: a model without a card of edge-ser"
    yield from _section("It says of itself", {k: v for k, v in found.items() if k != "sidecar"})
    yield ""
    text = FOREIGN.format(
        path=printable(shlex.quote(found["path"])),
        given="" if found["labels"] else UNNAMED,
        copy=printable(shlex.quote(f"{path.stem}-with-card{path.suffix}")),
        sidecar=printable(found["sidecar"]),
        name=name,
        stem=path.stem,
        labels=tuple(found["labels"]) or "(...)",
        rate=found["rate"] or "...",
    )
    yield from text.splitlines()


def _has_no_card(path: Path) -> bool:
    from edge_ser.card import sidecar_path
    from edge_ser.container import read_file, unwrap

    return unwrap(read_file(path)).document is None and not os.path.exists(sidecar_path(path))


@click.command("inspect")
@click.argument("model", metavar="FILE|NAME", shell_complete=complete_model)
@output_options
@debug_option
def command(model: str, format_: str, output: str | None) -> None:
    """Show what a model file says of itself.

    Labels, input, frontend, calibration, what it was trained on and measured at, how robust it is,
    its licence, what it is meant for and what not. The hashes of card and model are checked; the
    model is not run (that is 'edge-ser verify').

    \b
    Examples:
      edge-ser inspect emotion-emodb
      edge-ser inspect my.tflite --format json

    The card goes to standard output, or to FILE with -o. A model that was not exported by
    edge-ser has no card: then you are told what it is and how to give it one.
    """
    from edge_ser.card import read_model
    from edge_ser.zoo import find_model

    path = find_model(model)
    refuse_inputs(output, [path])
    try:
        found = read_model(path)
    except CardError:
        if not _has_no_card(path):
            raise
        document = _foreign(path)
        readable = _foreign_readable(document)
    else:
        document = found.card.to_dict()
        readable = _readable(found)
    leaves = [{"field": name, "value": value} for name, value in flattened(document)]
    pieces = rendered(
        leaves if format_ == "csv" else [document],
        format_,
        fields=["field", "value"],
        table=lambda _: readable,
        document=lambda _: document,
    )
    write(pieces, output)
