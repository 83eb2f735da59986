"""`edge-ser evaluate`: a model on labelled speech that it has not heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.failures import failure_lines
from edge_ser.cli.options import debug_option, model_options, open_classifier
from edge_ser.cli.output import (
    Record,
    check_places,
    grid,
    output_options,
    percent,
    rendered,
    write,
)
from edge_ser.cli.progress import a_person_watches, progress_bar
from edge_ser.errors import AudioError, DataError, ExitCode, UsageError

if TYPE_CHECKING:
    from edge_ser.classifier import Classifier
    from edge_ser.corpora import Corpus
    from edge_ser.evaluation import Report, Robustness
    from edge_ser.perturb import Noise

__all__ = ["command"]

NOISE_S = 600.0
"""Of each recording of noise, from its beginning."""


def _models(
    model: str | None, folds: str | None, provider: str, threads: int, allow_untrained: bool
) -> list[Classifier]:
    if folds is None:
        return [open_classifier(model, provider, threads, allow_untrained)]
    if model is not None:
        raise UsageError("--model and --folds: expected one of them; --folds names all its models")
    from edge_ser.zoo import SUFFIXES

    files = sorted(p for p in Path(folds).iterdir() if p.suffix in SUFFIXES)
    if not files:
        raise UsageError(
            f"{folds}: no .tflite or .onnx file in this folder: name one that has some"
        )
    return [open_classifier(str(f), provider, threads, allow_untrained) for f in files]


def _noise(folder: str | None) -> list[Noise]:
    from edge_ser.audio import open_recording
    from edge_ser.corpora.utterances import audio_files
    from edge_ser.evaluation import Failure

    if folder is None:
        return []
    noises: list[Noise] = []
    failures: list[Failure] = []
    for path in audio_files(Path(folder)):
        try:
            with open_recording(path) as recording:
                samples = recording.read(0, round(NOISE_S * recording.rate))
                if not samples.any():
                    raise AudioError(f"{path}: silent, expected noise")
                noises.append((samples, recording.rate))
        except AudioError as error:
            failures.append(Failure(str(path), str(error)))
    for line in failure_lines(failures, "left out"):
        click.echo(line, err=True)
    if not noises:
        raise DataError(
            f"{folder}: no noise that can be used in this folder: name one with recordings of it"
        )
    return noises


def _figures(report: Report) -> Iterator[str]:
    from edge_ser.evaluation import spread

    accuracies = [m.accuracy for m in report.models]
    uars = [m.uar for m in report.models]
    by_model = len(report.models) > 1
    yield from grid(
        ["", "all clips", *(["models: mean", "deviation"] if by_model else [])],
        [
            [name, percent(value)]
            + ([percent(spread(each).mean), percent(spread(each).std)] if by_model else [])
            for name, value, each in (
                ("accuracy", report.accuracy, accuracies),
                ("UAR (mean recall)", report.uar, uars),
            )
        ],
        right=("all clips", "models: mean", "deviation"),
    )
    yield (
        f"calibration error (ECE) {percent(report.ece)}; by chance alone it would be "
        f"{percent(report.chance_ece)}"
    )
    yield f"of the four fifths that it is surest of, {percent(report.accuracy_at_80)} are right"
    if report.oracle_share_at_80 is not None and report.calibrated_share_at_80:
        calibrated = report.calibrated_share_at_80
        yield (
            f"which is {percent(report.oracle_share_at_80)} of what an oracle would gain; as "
            "sure and perfectly calibrated it would be "
            f"{100 * calibrated.mean:.0f} ± {100 * calibrated.std:.0f} %"
        )
    yield ""
    if by_model:
        rows = [[m.name, m.n, percent(m.accuracy), percent(m.uar)] for m in report.models]
        yield from grid(
            ["model", "clips", "accuracy", "UAR"], rows, right=("clips", "accuracy", "UAR")
        )
        yield ""


def _confusion_rows(report: Report) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for at, counts in enumerate(report.confusion):
        label = report.labels[at]
        recall = counts[at] / sum(counts) if any(counts) else None
        rows.append(
            {"true": label, **dict(zip(report.labels, counts, strict=True)), "recall": recall}
        )
    return rows


def _confusion(report: Report) -> Iterator[str]:
    yield "true label (rows) against the model's answer (columns):"
    rows = [[*list(r.values())[:-1], percent(r["recall"])] for r in _confusion_rows(report)]
    yield from grid(["", *report.labels, "recall"], rows, right=(*report.labels, "recall"))


def _table(report: Report) -> Iterator[str]:
    yield f"{report.corpus}: {report.n} of {report.clips} clips scored"
    if report.seen_in_training:
        yield (
            f"{report.seen_in_training} clips seen in training: they prove nothing and are not "
            "scored (--folds takes fold models that have not heard them)"
        )
    for label, count in report.unknown_labels.items():
        yield f"{count} clips of label '{label}', which the model does not know: not scored"
    if report.n:
        yield ""
        yield from _figures(report)
        yield from _confusion(report)
    if report.failures:
        yield ""
    yield from failure_lines(report.failures, "failed")


def _robustness_table(result: Robustness) -> Iterator[str]:
    yield from _table(result.clean)
    if result.rows:
        columns = ("accuracy", "UAR", "share", "ECE", "by chance")
        yield ""
        yield from grid(
            ["perturbation", *columns],
            [
                [
                    *(r.name, percent(r.accuracy), percent(r.uar), percent(r.share_of_clean_uar)),
                    *(percent(r.ece), percent(r.chance_ece)),
                ]
                for r in result.rows
            ],
            right=columns,
        )
        yield "share: of the UAR without perturbation; by chance: the ECE of perfect calibration"


@dataclass(frozen=True)
class _Found:
    """A measurement in the three ways that it can be written."""

    report: Report
    document: Mapping[str, Any]
    rows: Sequence[Record]
    """Of the CSV form."""
    table: Iterable[str]


def _clean(clips: Corpus, classifiers: Sequence[Classifier], own_labels: bool) -> _Found:
    from edge_ser.evaluation import score

    with progress_bar(a_person_watches()) as progress:
        report = score(clips, classifiers, own_labels=own_labels, progress=progress)
    return _Found(report, report.to_dict(), _confusion_rows(report), _table(report))


def _under_perturbations(
    clips: Corpus, classifiers: Sequence[Classifier], noise: str | None, own_labels: bool
) -> _Found:
    from edge_ser.evaluation import robustness_table

    with progress_bar(a_person_watches()) as progress:
        result = robustness_table(
            clips, classifiers, _noise(noise), own_labels=own_labels, progress=progress
        )
    document = result.to_dict()
    return _Found(result.clean, document, document["rows"], _robustness_table(result))


def _write(found: _Found, format_: str, output: str | None) -> None:
    rows = found.rows
    pieces = rendered(
        rows if format_ == "csv" else [found.document],
        format_,
        fields=list(rows[0]) if rows else [],
        table=lambda _: found.table,
        document=lambda _: found.document,
    )
    write(pieces, output)


def _exit_code(report: Report, corpus: Corpus) -> int:
    if not report.n and not report.seen_in_training:
        if report.failures:
            return ExitCode.AUDIO
        raise DataError(
            f"{corpus.name}: its labels are {', '.join(corpus.labels)}, expected some of the "
            f"model's: {', '.join(report.labels)}; name the folders or the manifest's labels so"
        )
    return ExitCode.SOME_FAILED if report.failures else ExitCode.OK


@click.command("evaluate")
@click.argument("corpus")
@model_options
@click.option(
    "--folds",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Score each clip with a model of this folder that has not heard it.",
)
@click.option("--perturb", is_flag=True, help="Also measure under gain, noise, band limits, rooms.")
@click.option(
    "--noise",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Recordings of real noise for --perturb.",
)
@click.option(
    "--own-labels",
    is_flag=True,
    help="Let the model answer only among the labels that the corpus has.",
)
@click.option(
    "--plot",
    metavar="FILE.png",
    help="Draw confusion, calibration and coverage (extra [plot]).",
)
@output_options
@debug_option
def command(
    corpus: str,
    model: str | None,
    provider: str,
    threads: int,
    allow_untrained: bool,
    folds: str | None,
    perturb: bool,
    noise: str | None,
    own_labels: bool,
    plot: str | None,
    format_: str,
    output: str | None,
) -> None:
    """Measure a model on labelled speech: accuracy, UAR, calibration, confusion.

    CORPUS is a folder, a CSV manifest (columns path and label), or a known corpus (emodb, ravdess,
    emovo, speech_commands, iemocap) inside the folder that EDGE_SER_DATA names. A folder is
    recognised by its file names, or holds one folder per label.

    A clip that a model was trained on proves nothing: it is counted as seen in training and not
    scored. UAR is the mean recall of the labels: rare ones count as much as frequent ones.

    \b
    Examples:
      edge-ser evaluate my_recordings/ --model emotion-emodb
      edge-ser evaluate emodb --folds models/folds/emotion-emodb --plot found.png
      edge-ser evaluate my_recordings/ --model emotion-emodb --own-labels
      edge-ser evaluate clips.csv --perturb --noise noises/ -o report.txt

    The report goes to standard output, or to FILE with -o; the picture to FILE.png. csv is the
    confusion matrix, or with --perturb its table.
    """
    if noise is not None and not perturb:
        raise UsageError("--noise: only used by --perturb: add it")
    from edge_ser.corpora import read_corpus
    from edge_ser.corpora.utterances import audio_files
    from edge_ser.evaluation import draw_report
    from edge_ser.pictures import need_matplotlib

    if plot is not None:  # said before minutes of work
        if Path(plot).suffix.lower() != ".png":
            raise UsageError(f"{plot}: expected a name that ends in .png: the picture is one")
        need_matplotlib()
    classifiers = _models(model, folds, provider, threads, allow_untrained)

    clips = read_corpus(corpus)
    inputs: list[str | Path] = [
        *(corpus, Path(corpus, "manifest.csv")),
        *(utterance.path for utterance in clips.utterances),
        *(classifier.path for classifier in classifiers),
    ]
    noises = audio_files(Path(noise)) if noise else []
    check_places((output, plot), [*inputs, *noises])
    found = (
        _under_perturbations(clips, classifiers, noise, own_labels)
        if perturb
        else _clean(clips, classifiers, own_labels)
    )
    code = _exit_code(found.report, clips)
    _write(found, format_, output)
    if plot is not None:
        draw_report(found.report, Path(plot))
    click.get_current_context().exit(code)
