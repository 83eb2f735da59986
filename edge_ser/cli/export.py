"""`edge-ser export`: thin over `edge_ser.lab.export` and `edge_ser.lab.shipping`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import debug_option, debugging
from edge_ser.cli.output import refuse_inputs
from edge_ser.cli.progress import a_person_watches, phases
from edge_ser.documents import printable
from edge_ser.errors import DataError, EdgeSerError, UsageError

if TYPE_CHECKING:
    from edge_ser.corpora import Corpus
    from edge_ser.lab.architectures.networks import Network
    from edge_ser.lab.export import Exported, Form
    from edge_ser.lab.export.described import Description
    from edge_ser.lab.runs import Run

__all__ = ["command"]

FORMS = ("float32", "float16", "dynamic", "int8")
OF_RUNS = ("corpus", "folds", "unfinished")
OF_OTHERS = (
    *("labels", "frontends", "clip", "clip_samples", "outputs", "clips"),
    *("network", "options"),
)
OF_CORPORA = ("licence", "data", "task")
"""Of runs on corpora that edge-ser knows nothing of, and of models of others."""


def _network(name: str | None, options: tuple[str, ...]) -> Network | None:
    """The network of a state dict; an option's value is read as TOML, else taken as text."""
    import tomllib

    from edge_ser.lab.architectures.networks import network

    if name is None:
        if options:
            raise UsageError("--option: only used by --network: add it")
        return None
    chosen: dict[str, Any] = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise UsageError(f"--option {option!r}: expected KEY=VALUE, such as blocks=3")
        try:
            chosen[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            chosen[key.strip()] = text.strip()
    return network(name).with_options(**chosen)


def _described(given: Mapping[str, Any]) -> Description:
    from edge_ser.lab.export.described import Description, read_frontend, read_labels

    texts = {field: given[field] for field in ("name", "task", "licence", "data") if given[field]}
    return Description(
        labels=read_labels(given["labels"]) if given["labels"] else (),
        frontends=tuple(map(read_frontend, given["frontends"])),
        clip_seconds=given["clip"],
        clip_samples=given["clip_samples"],
        output=given["outputs"],
        network=_network(given["network"], given["options"]),
        **texts,
    )


def _refuse_together(given: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    for name in names:
        if given[name]:
            option = {"folds": "fold", "frontends": "frontend", "options": "option"}.get(name, name)
            raise UsageError(f"--{option.replace('_', '-')}: {why}")


def _compared(exported: Exported, real: bool) -> Iterator[str]:
    """What was found, to read."""
    from edge_ser.lab.export.compare import shown_loss, shown_milliseconds

    found = exported.comparison
    of = "recordings" if real else "made-up clips"
    lost = "" if found.lost is None else f", {shown_loss(found.lost)} of UAR lost"
    yield (
        f"compared with {exported.framework} on {found.clips} {of}: largest difference of a "
        f"probability {found.worst:.1e}, {found.changed} labels changed{lost}"
    )
    if found.speed is not None:
        took = shown_milliseconds(found.speed.milliseconds)
        yield (
            f"{found.share:.0%} of the float32 file's size, {took} ms a clip here against "
            f"{shown_milliseconds(found.speed.float32_milliseconds)}"
        )
    if exported.note:
        yield exported.note
    if not real and exported.model.card.provenance.state == "trained":
        yield "no recording was compared: give --clips with some like those that it is for"


def _corpus_of(run: Run) -> Corpus:
    """The clips that it was trained on, where the corpus is known or lies here under its name."""
    from edge_ser.corpora import read_corpus

    try:
        return read_corpus(run.experiment.data.corpus)
    except DataError as error:
        where = f"or say with --corpus where the clips of {run.folder} are"
        raise DataError(f"{error}; {where}") from None


def _run(
    source: Path,
    output: Path,
    form: Form,
    given: Mapping[str, Any],
    told: Callable[[str, int, int], None],
) -> Exported:
    from edge_ser.corpora import read_corpus
    from edge_ser.lab.cards import EMOTION, Source, source_of
    from edge_ser.lab.runs import read_run
    from edge_ser.lab.shipping import export_run

    _refuse_together(given, OF_OTHERS, "a run folder knows that of itself: leave it out")
    corpus = read_corpus(given["corpus"]) if given["corpus"] else _corpus_of(read_run(source))
    said = None
    if source_of(corpus.name):
        _refuse_together(given, OF_CORPORA, f"that of {corpus.name} is known: leave it out")
    elif any(given[name] for name in OF_CORPORA):
        said = Source(
            data=given["data"] or corpus.name,
            licence=given["licence"] or "LicenseRef-unknown",
            task=given["task"] or EMOTION,
        )
    return export_run(
        source,
        corpus,
        output,
        form,
        given["folds"],
        given["name"],
        given["unfinished"],
        force=given["force"],
        told=told,
        source=said,
    )


def _export(
    source: Path | None,
    output: Path,
    form: Form,
    given: Mapping[str, Any],
    told: Callable[[str, int, int], None],
) -> tuple[Exported, bool]:
    """The file, and whether it was compared on recordings."""
    if given["untrained"] is not None:
        from edge_ser.lab.shipping import export_untrained

        if source is not None:
            raise UsageError("SOURCE and --untrained: expected one of them")
        _refuse_together(given, (*OF_RUNS, *OF_OTHERS, *OF_CORPORA, "name"), "not of --untrained")
        made = export_untrained(
            given["untrained"], given["classes"], output, form, force=given["force"], told=told
        )
        return made, False
    if source is None:
        raise UsageError("expected a SOURCE, or --untrained NETWORK")
    from edge_ser.lab.export.sources import export_source, is_run

    if is_run(source):
        return _run(source, output, form, given, told), True
    _refuse_together(given, OF_RUNS, f"only for run folders, and {source} is none: leave it out")
    said = _described(given)
    made = export_source(source, output, said, form, given["clips"], given["force"], told)
    return made, given["clips"] is not None


@click.command("export")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The model file: its name ends in .tflite or .onnx.",
)
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default="float32",
    show_default=True,
    help="Of the weights. int8 of anything but a run needs --clips to calibrate with; capsules, "
    "attention and functionals are quantised as dynamic.",
)
@click.option(
    "--labels",
    metavar="A,B,C|FILE",
    help="The classes in the order of the outputs, or a text file with one a line.",
)
@click.option(
    "--frontend",
    "frontends",
    multiple=True,
    metavar="PRESET|FILE.toml",
    help="The features that it was trained on: librosa, log-mel, torchaudio, waveform, ..., or "
    "their parameters in a file. Once for each input.",
)
@click.option(
    "--clip", type=click.FloatRange(min=0.001), metavar="SECONDS", help="Length of its clips."
)
@click.option(
    "--clip-samples", type=click.IntRange(min=1), metavar="N", help="The same in samples."
)
@click.option(
    "--outputs",
    type=click.Choice(["logits", "probabilities"]),
    help="What it gives. [default: seen from its scores]",
)
@click.option(
    "--clips",
    metavar="CORPUS|FOLDER",
    help="Recordings like those that it is for: the file is compared with the model on 200 of "
    "them. [default: made-up clips, and the card says so]",
)
@click.option("--name", help="In the card. [default: that of the file, or NETWORK-CORPUS]")
@click.option("--task", metavar="TEXT", help="In the card. [default: speech emotion recognition]")
@click.option("--licence", metavar="SPDX", help="Of the weights. [default: LicenseRef-unknown]")
@click.option("--data", metavar="TEXT", help="What it was trained on, for the card.")
@click.option(
    "--network", metavar="NETWORK", help="Of a state dict (.pt): 'edge-ser train --list' has them."
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of that network, where it differs.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Keep a quantised file that is slower than float32 here, or not half as large.",
)
@click.option(
    "--corpus", metavar="CORPUS", help="What a run was trained on. [default: as the run names it]"
)
@click.option(
    "--fold",
    "folds",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="RUN",
    help="A finished run of the same recipe on other speakers; give all of them: calibration and "
    "figures of the card come from their predictions.",
)
@click.option("--unfinished", is_flag=True, help="Take a run before its last epoch.")
@click.option(
    "--untrained",
    metavar="NETWORK",
    help="Instead of a SOURCE: a network with random weights, to measure latency.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    default=7,
    show_default=True,
    metavar="N",
    help="Labels of an --untrained network.",
)
@debug_option
def command(source: Path | None, output: Path, form: str, **given: Any) -> None:
    """Make one self-describing model file of a trained model, yours or one of ours.

    SOURCE is a run folder of 'edge-ser train'; a .keras file; a TensorFlow SavedModel folder; a
    Torch state dict (.pt, .pth) of one of our networks; or a .onnx or .tflite file made elsewhere.
    Anything but a run folder is told by --labels, --frontend and --clip what it works on;
    --licence, --data and --task are for the card, where edge-ser does not know the corpus.

    The file carries its card: labels, frontend, calibration, figures, licence. It is read again and
    compared with the original before it appears; one that differs is not written. A quantised form
    that is slower here than float32, or not half as large, is refused too, unless forced.

    A SavedModel is a program that TensorFlow runs: export only those whose source you trust. No
    code in the other kinds is run: state dicts are read as tensors alone.

    \b
    Examples:
      edge-ser export runs/whole -o my.tflite
      edge-ser export runs/whole --form dynamic -o small.tflite
      edge-ser export theirs.keras --labels calm,angry --frontend log-mel \\
          --clip 3 --clips recordings/ -o theirs.tflite
      edge-ser export raw.onnx --labels labels.txt --frontend waveform -o r.onnx
      edge-ser export model.pt --network cktim-tab3 --labels a,b,c,d,e,f,g \\
          --clips emovo -o cktim.onnx
      edge-ser export --untrained plb -o latency.onnx

    The model goes to FILE. Needs extras by the kind of model: pip install
    'edge-ser[train,export]' for Keras, 'edge-ser[torch,export]' for Torch, and
    'edge-ser[litert-torch]' for Torch to .tflite.
    """
    named = (given["labels"], *given["frontends"])
    refuse_inputs(str(output), [place for place in (source, *named) if place])
    refused = None
    with phases(a_person_watches()) as told, quiet_runtime(show=debugging()):
        try:
            made, real = _export(source, output, cast("Form", form), given, told)
        except EdgeSerError as error:
            # What converters and runtimes printed before is no clearer than its one line.
            refused = error
    if refused is not None:
        raise refused
    place, name = printable(made.model.path), made.model.card.name
    click.echo(f"{place}: {name}, {made.model.path.stat().st_size} bytes, read again and compared")
    for line in _compared(made, real):
        click.echo(printable(line))
    click.echo(f"'edge-ser inspect {place}' shows its card")
