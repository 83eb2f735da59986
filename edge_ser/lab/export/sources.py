"""From a file or folder that somebody brings to a model file: what `edge-ser export` calls."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edge_ser.card import ModelCard
from edge_ser.errors import ModelNotFoundError, UsageError
from edge_ser.lab.architectures.networks import Network, build
from edge_ser.lab.experiment import is_frozen
from edge_ser.lab.export.clips import clip_paths, made_up_clips, real_clips
from edge_ser.lab.export.described import Description, card_of, output_of
from edge_ser.lab.export.files import Exported, Stages, export_model
from edge_ser.lab.export.forms import Form, kind_of_name
from edge_ser.lab.export.reference import FRAMEWORKS, Blocks, Source
from edge_ser.lab.runs import CONFIG, Run

__all__ = ["export_source", "fresh_source", "is_run", "open_source", "run_source"]

SAVED_MODEL = "saved_model.pb"
PROBE_CLIPS = 4
"""On which it is seen whether scores are probabilities."""
KINDS = (
    "a run folder, a .keras file, a SavedModel folder, a .pt or .pth state dict, a .onnx or a "
    ".tflite file"
)


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a training run."""
    return (path / CONFIG).is_file()


def open_source(path: Path, said: Description) -> Source:
    """The model in a file or folder.

    No code in it is run, but for a SavedModel, which is a program: TensorFlow runs it.

    Raises:
        UsageError: it is of no kind that is known, or a state dict comes without its network.
        ModelNotFoundError: nothing there.
        ModelError: it cannot be read as what it is.
        DependencyError: its framework is not installed.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise ModelNotFoundError(f"{path}: no such file or folder, expected {KINDS}")
    if path.is_dir() and (path / SAVED_MODEL).is_file():
        from edge_ser.lab.export.tensorflow_files import saved_model_source

        return saved_model_source(path)
    if path.is_dir():
        raise UsageError(
            f"{path}: neither a run folder (no {CONFIG}) nor a SavedModel (no {SAVED_MODEL}), "
            f"expected {KINDS}"
        )
    if suffix == ".keras":
        from edge_ser.lab.export.tensorflow_files import keras_source, load_keras

        return keras_source(load_keras(path), path.name)
    if suffix in (".pt", ".pth"):
        if said.network is None or said.network.kind.framework != "torch":
            raise UsageError(
                f"{path}: a state dict has no network in it, expected --network with one of ours "
                "in Torch ('edge-ser train --list'); export others with torch.onnx.export first"
            )
        from edge_ser.lab.export.torch_files import network_source

        return network_source(said.network, path)
    if suffix in (".onnx", ".tflite"):
        from edge_ser.lab.export.foreign import foreign_source

        return foreign_source(path)
    hint = "; save a .h5 model again with model.save('NAME.keras')" if suffix == ".h5" else ""
    raise UsageError(f"{path}: expected {KINDS}{hint}")


def run_source(run: Run) -> Source:
    """The network of a training run, with the weights that it keeps.

    Raises:
        ModelError: they cannot be read, or are of another network.
        DependencyError: the framework is not installed.
    """
    network = run.experiment.network
    if network.kind.framework == "keras":
        from edge_ser.lab.export.tensorflow_files import keras_source, load_keras

        return keras_source(load_keras(run.weights), network.name)
    from edge_ser.lab.export.torch_files import network_source

    if is_frozen(run.experiment):
        # The head alone was trained; the backbone is that of its folder, or of the run's seed.
        seed = run.experiment.training.seed
        return network_source(network, run.weights, seed, lambda module: module.head)
    return network_source(network, run.weights)


def fresh_source(network: Network, classes: int, clips: Blocks, seed: int) -> Source:
    """A network with seeded random weights, for features like those of `clips`.

    Raises:
        DataError: it cannot take such features.
        DependencyError: the framework is not installed.
    """
    shape = clips[0].shape[1:]
    if network.kind.framework == "keras":
        from edge_ser.lab.export.tensorflow_files import keras_source, prepare

        prepare()
        return keras_source(build(network, classes, shape, seed))
    from edge_ser.lab.compute import prepare_torch
    from edge_ser.lab.export.torch_files import module_source, normalised_to

    prepare_torch()
    module = normalised_to(build(network, classes, shape, seed), clips[0])
    return dataclasses.replace(module_source(module, name=network.name), output=network.kind.output)


def export_source(
    path: Path,
    output: Path,
    said: Description,
    form: Form = "float32",
    clips: str | None = None,
    force: bool = False,
    told: Stages = lambda stage, done, of: None,
) -> Exported:
    """Export somebody's model with a card of what they say of it.

    Args:
        path: the model; see `open_source`.
        output: `.tflite` or `.onnx` file to write.
        said: what it does not say of itself.
        form: of the weights.
        clips: a folder of recordings, or a corpus by name, like those that the model is for; None
            compares on made-up clips, and the card says so.
        force: keep a quantised file that is not worth having here.
        told: of progress.

    Raises:
        UsageError: something that has to be said is missing, or int8 comes without clips.
        DataError: clips, labels or frontend do not fit the model.
        ModelError: the model cannot be used, or the file is not what it computes.
    """
    kind_of_name(output)
    if form == "int8" and clips is None:
        raise UsageError(
            "--form int8: expected --clips with real recordings to calibrate with: their ranges "
            "become part of the file"
        )
    if output.exists() and path.exists() and output.samefile(path):
        raise UsageError(f"{output}: the place to write to is the model itself: name another file")
    paths = None if clips is None else clip_paths(clips)
    told("opening", 0, 1)
    source = open_source(path, said)
    card = card_of(source, said)
    if paths is None:
        blocks = made_up_clips(card.frontend, card.input)
    else:
        blocks = real_clips(
            paths, card.frontend, card.input, lambda done, of: told("reading clips", done, of)
        )
    reference = source.bound(card)
    probed = reference.scores([block[:PROBE_CLIPS] for block in blocks])
    kind = output_of(probed, said.output or source.output, source.name)
    card = dataclasses.replace(card, output=dataclasses.replace(card.output, kind=kind))
    card = _with_protocol(card, path, FRAMEWORKS[reference.framework], blocks, paths is not None)
    return export_model(
        dataclasses.replace(source, bind=lambda shapes, labels: reference),
        card,
        output,
        form,
        blocks,
        force,
        told,
    )


def _with_protocol(
    card: ModelCard, path: Path, framework: str, blocks: Blocks, real: bool
) -> ModelCard:
    """The card with what the comparison rests on: training figures are not ours to know."""
    kind = "recordings" if real else "made-up clips, not on speech"
    text = f"Exported from {path.name}; compared with {framework} on {len(blocks[0])} {kind}."
    provenance = dataclasses.replace(card.provenance, protocol=text)
    return dataclasses.replace(card, provenance=provenance)
