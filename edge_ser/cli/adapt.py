"""`edge-ser adapt`: a model taught from a few clips, with labels or without, on the board."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.failures import failure_lines, one_line
from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import (
    complete_model,
    debug_option,
    debugging,
    open_classifier,
    use_threads,
)
from edge_ser.cli.output import Record, format_option, grid, percent, refuse_inputs, rendered, write
from edge_ser.cli.progress import a_person_watches, progress_bar
from edge_ser.errors import DataError, ExitCode, UsageError

if TYPE_CHECKING:
    from edge_ser.adaptation import Adapted, Heard
    from edge_ser.evaluation import Failure

__all__ = ["command"]


def _records(made: Adapted) -> Iterator[dict[str, Any]]:
    """A row a label, and one of all."""
    before, after = made.before, made.after
    for label in made.model.card.labels:
        yield {
            "label": label,
            "clips": made.clips.get(label, 0),
            "before": before.recalls.get(label) if before else None,
            "after": after.recalls.get(label),
        }
    for name in ("accuracy", "uar"):
        yield {
            "label": f"({name})",
            "clips": sum(made.clips.values()),
            "before": getattr(before, name) if before else None,
            "after": getattr(after, name),
        }


def _document(made: Adapted) -> dict[str, Any]:
    figures = {"before": made.before, "after_left_out": made.after}
    return {
        "path": str(made.model.path),
        "name": made.model.card.name,
        "labels": list(made.model.card.labels),
        "clips": dict(made.clips),
        **{
            name: None
            if found is None
            else {"accuracy": found.accuracy, "uar": found.uar, "recalls": dict(found.recalls)}
            for name, found in figures.items()
        },
        "uncertain_below": made.model.card.output.uncertain_below,
        "seen_in_training": made.seen,
        "failures": _failed(made.failures),
    }


def _failed(failures: Iterable[Failure]) -> list[dict[str, str]]:
    return [{"path": f.path, "error": one_line(f.message)} for f in failures]


def _table(made: Adapted, records: Iterable[Record]) -> Iterator[str]:
    card = made.model.card
    size = made.model.path.stat().st_size
    yield f"{made.model.path}: {card.name}, {size} bytes, read again and verified"
    yield ""
    columns = ["clips", "before", "after"] if made.before else ["clips", "right"]
    yield from grid(
        ["label", *columns],
        [
            [r["label"], r["clips"], *([percent(r["before"])] if made.before else []),
             percent(r["after"])]
            for r in records
        ],
        right=columns,
    )  # fmt: skip
    yield ""
    yield "right answers to these clips, each by a layer that was fitted without it: an estimate"
    yield "from few clips, for these voices and this microphone. (uar): mean of the labels"
    if made.seen:
        yield f"{made.seen} of the clips have trained this model before: of those it proves nothing"
    if made.before is None:
        yield "labels of your own: there is nothing to compare with before"
    elif made.after.accuracy < made.before.accuracy:
        yield "fewer are right than before: better keep the original model, or give more clips"
    yield from failure_lines(made.failures, "left out")


def _taught(
    model: str, folder: str, output: str, only: bool, l2: float | None, format_: str
) -> tuple[Iterator[str], bool]:
    """Write the model; the report, and whether a clip failed."""
    use_threads(1)
    from edge_ser.adaptation import L2, adapt
    from edge_ser.corpora import read_corpus
    from edge_ser.zoo import find_model

    path = find_model(model)
    clips = read_corpus(folder)
    of_folder = [Path(folder), Path(folder, "manifest.csv")]
    refuse_inputs(output, [path, *of_folder, *(u.path for u in clips.utterances)])
    with progress_bar(a_person_watches()) as progress, quiet_runtime(show=debugging()):
        made = adapt(path, clips, output, L2 if l2 is None else l2, only, progress)
    pieces = rendered(
        [_document(made)] if format_ == "jsonl" else list(_records(made)),
        format_,
        fields=["label", "clips", "before", "after"],
        table=lambda records: _table(made, records),
        document=lambda _: _document(made),
    )
    return pieces, bool(made.failures)


def _profiled(model: str, folder: str, output: str, format_: str) -> tuple[Iterator[str], bool]:
    """Write the profile; the report, and whether a recording failed."""
    if Path(output).suffix.lower() != ".json":
        raise UsageError(
            f"{output}: expected a name that ends in .json: a profile stands beside the model"
        )
    classifier = open_classifier(model, "cpu", 1, allow_untrained=False)
    from edge_ser.adaptation import profile_recordings
    from edge_ser.classifier import believed, known_population, profile_text

    paths = _recordings(folder)
    refuse_inputs(output, [classifier.path, folder, *paths])
    with progress_bar(a_person_watches()) as progress:
        heard = profile_recordings(classifier, paths, progress)
    write([profile_text(heard.profile)], output)
    clips = heard.profile.clips
    record = {
        "path": output,
        "model": classifier.card.name,
        "clips": clips,
        "seconds": heard.profile.seconds,
        "believed": round(float(believed(known_population(classifier.card), clips).mean()), 4),
    }
    document = {**record, "failures": _failed(heard.failures)}
    pieces = rendered(
        [document] if format_ == "jsonl" else [record],
        format_,
        fields=list(record),
        table=lambda _: _told(heard, record, model),
        document=lambda _: document,
    )
    return pieces, bool(heard.failures)


def _recordings(place: str) -> list[Path]:
    """The recordings below a folder, in a manifest or of a known corpus, or the one of that name.

    Raises:
        DataError: there are none.
    """
    from edge_ser.corpora import read_corpus
    from edge_ser.corpora.utterances import AUDIO_SUFFIXES, audio_files

    path = Path(place)
    if path.is_dir():
        found = audio_files(path)
        if not found:
            known = " ".join(sorted(AUDIO_SUFFIXES))
            raise DataError(f"{place}: no audio in this folder: looked for names ending in {known}")
        return found
    if path.exists() and path.suffix.lower() != ".csv":
        return [path]
    return [utterance.path for utterance in read_corpus(place).utterances]


def _told(heard: Heard, record: Record, model: str) -> Iterator[str]:
    profile = heard.profile
    clips = "1 clip" if profile.clips == 1 else f"{profile.clips} clips"
    yield f"{record['path']}: {clips}, {profile.seconds:.1f} s, for {record['model']}"
    yield (
        f"{percent(record['believed'])} of how they differ from other speakers is believed; "
        "more clips, more of it"
    )
    yield ""
    use = ["--model", model, "--profile", str(record["path"])]
    yield f"edge-ser classify new.wav {shlex.join(use)}"
    yield from failure_lines(heard.failures, "left out")


@click.command("adapt")
@click.argument("model", metavar="MODEL", shell_complete=complete_model)
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--output",
    "-o",
    required=True,
    metavar="FILE",
    help="The model file to write, or the profile; it appears when it is complete and verified.",
)
@click.option(
    "--unlabelled",
    is_flag=True,
    help="Write a profile of the person who speaks, of recordings without labels.",
)
@click.option(
    "--only",
    is_flag=True,
    help="Leave out labels of the model that have no clips in FOLDER.",
)
@click.option(
    "--l2",
    type=click.FloatRange(1e-6, 1e6),
    metavar="X",
    help="How hard the new layer is drawn to the model's present answers, or with labels of your "
    "own to no answer: more for less change. [default: 0.1]",
)
@format_option("Of the report: a table to read, or one of three formats for programs.")
@debug_option
def command(
    model: str,
    folder: str,
    output: str,
    unlabelled: bool,
    only: bool,
    l2: float | None,
    format_: str,
) -> None:
    """Teach a model a voice, a microphone or labels of your own.

    MODEL is a file or an installed name. FOLDER holds labelled clips, a few of each label: one
    folder per label, a CSV manifest (columns path and label), or a known corpus. Three clips of
    each label help, ten help more. The model needs an embedding ('edge-ser inspect' names it).

    Labels that the model has are learnt on top of what it knows, so that few clips improve its
    answers for this voice and microphone. With one label that it does not have, all are learnt from
    the clips alone, and the new model has these labels and no others.

    The graph stays as it is, byte by byte: what is learnt is a last layer in the card. It takes
    seconds, here, without a training framework; nothing leaves this machine.

    With --unlabelled FOLDER may be a single recording, too, or any folder, which is searched for
    audio. What is written is a profile of one person at one microphone, a small JSON file for
    --profile of 'classify' and 'listen'. Use recordings in which that person alone speaks, in
    whatever mood; long ones are cut where speech pauses. Models of functionals take profiles.

    \b
    Examples:
      edge-ser adapt emotion-emodb my_voice/ -o mine.tflite
      edge-ser adapt base.tflite words/ -o words.tflite  # words/start, words/stop
      edge-ser adapt base.tflite clips.csv -o two.tflite --only
      edge-ser classify new.wav --model mine.tflite
      edge-ser adapt emotion-emodb me/ --unlabelled -o me.json
      edge-ser classify new.wav --model emotion-emodb --profile me.json

    The report goes to standard output. Exit status: 0 fine, 1 some clips could not be read and the
    file was made of the others, 7 too few clips or labels, or too little speech.
    """
    if unlabelled and (only or l2 is not None):
        raise UsageError(
            "--unlabelled: no label is learnt, so --only and --l2 mean nothing: drop them"
        )
    if unlabelled:
        pieces, failed = _profiled(model, folder, output, format_)
    else:
        pieces, failed = _taught(model, folder, output, only, l2, format_)
    write(pieces, None)
    click.get_current_context().exit(ExitCode.SOME_FAILED if failed else ExitCode.OK)
