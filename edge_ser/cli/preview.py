"""`edge-ser preview`: what training data look like, before hours are spent on them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli.options import debug_option
from edge_ser.cli.output import format_option, grid, refuse_inputs, rendered, write
from edge_ser.errors import ConfigError, DataError, StorageError
from edge_ser.frontend import PRESETS, FrontendSpec

if TYPE_CHECKING:
    from edge_ser.audio.clip import Samples
    from edge_ser.corpora import Corpus, Utterance
    from edge_ser.lab.augmentation import Augmentation
    from edge_ser.lab.runs import Run

__all__ = ["command"]

PICTURES = ("class_counts.png", "clip.png", "augmentations.png")
FIELDS = ("split", "speaker", "label", "clips")
ALL = "all"
"""Split of a corpus that has none."""
MAX_SPEAKERS = 40
MAX_LABELS = 12
"""More labels or speakers than these are no table to read."""
MAX_SECONDS = 30
"""Of the clip that is drawn."""

Counts = dict[str, dict[str, int]]


def _counts(corpus: Corpus, labels: Iterable[str]) -> Counts:
    """Split -> label -> clips, in the order in which the splits occur."""
    counted = Counter((utterance.split or ALL, utterance.label) for utterance in corpus.utterances)
    splits = dict.fromkeys(utterance.split or ALL for utterance in corpus.utterances)
    return {split: {label: counted[split, label] for label in labels} for split in splits}


def _rows(corpus: Corpus) -> list[dict[str, object]]:
    counted = Counter((u.split or ALL, u.speaker or "", u.label) for u in corpus.utterances)
    return [
        dict(zip(FIELDS, (*key, number), strict=True)) for key, number in sorted(counted.items())
    ]


def _table(corpus: Corpus, counts: Counts, labels: tuple[str, ...]) -> Iterator[str]:
    yield from grid(
        ["label", *counts],
        [
            *([label, *(numbers[label] for numbers in counts.values())] for label in labels),
            ["clips", *(sum(numbers.values()) for numbers in counts.values())],
        ],
        right=list(counts),
    )
    speakers = sorted({u.speaker for u in corpus.utterances if u.speaker})
    if not speakers:
        return
    yield ""
    clips = Counter(u.speaker for u in corpus.utterances if u.speaker)
    if len(speakers) > MAX_SPEAKERS or len(labels) > MAX_LABELS:
        few, most = min(clips.values()), max(clips.values())
        middle = statistics.median(clips.values())
        yield (
            f"{len(speakers):,} speakers of {few} to {most} clips, half of them up to {middle:g}; "
            "--format csv has them all"
        )
        return
    spoken = Counter((u.speaker, u.label) for u in corpus.utterances)
    yield from grid(
        ["speaker", *labels, "clips"],
        [[s, *(spoken[s, label] for label in labels), clips[s]] for s in speakers],
        right=[*labels, "clips"],
    )


def _augmentation(given: str) -> Augmentation:
    """A preset, or the section [augmentation] of a TOML file."""
    from edge_ser.documents import read_toml
    from edge_ser.lab.augmentation import presets, read_augmentation

    if given in presets():
        return presets()[given]
    if not Path(given).is_file():
        near = get_close_matches(given, presets(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(presets())}"
        raise ConfigError(f"{given}: no such file, expected a TOML file or a preset: {hint}")
    tables = read_toml(given)
    if "augmentation" not in tables:
        raise ConfigError(f"{given}: no section [augmentation], expected one: add its steps")
    return read_augmentation(tables["augmentation"], f"{given}: [augmentation]")


def _chosen(corpus: Corpus, named: Mapping[str, Utterance], name: str | None) -> str:
    if not named:
        raise DataError(f"{corpus.name}: no clips, expected some to draw: give another corpus")
    if name is None:
        return next(iter(named))
    if name not in named:
        near = get_close_matches(name, named, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one is {next(iter(named))}"
        raise DataError(f"{corpus.name}: no clip is called {name}: {hint}")
    return name


def _run(folder: Path) -> Run:
    from edge_ser.lab.pictures.trained import check_family
    from edge_ser.lab.runs import read_run

    run = read_run(folder)
    check_family(run)
    return run


def _tested(run: Run | None, named: Mapping[str, Utterance]) -> str | None:
    """A clip that the run was not trained on; None for no matter which."""
    return next((name for name in run.split.test if name in named), None) if run else None


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}, expected a folder that can be written: "
            "name another with -o FOLDER"
        ) from error
    return path


def _refuse(pictures: Iterable[Path], corpus: str, augmentation: str, clips: Corpus) -> None:
    """No picture takes the place of something that is read."""
    inputs: list[str | Path] = [
        corpus,
        Path(corpus, "manifest.csv"),
        augmentation,
        *(u.path for u in clips.utterances),
    ]
    for picture in pictures:
        refuse_inputs(str(picture), inputs)


def _beginning(path: Path, spec: FrontendSpec) -> Samples:
    """Of the clip, at the rate of the features."""
    from edge_ser.audio import read_clip, resample

    return resample(read_clip(path), spec.rate, spec.resampler).samples[: MAX_SECONDS * spec.rate]


@click.command("preview")
@click.argument("corpus")
@click.option(
    "--output",
    "-o",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Where the pictures go; made if it is not there.",
)
@click.option(
    "--clip",
    metavar="NAME",
    help="The clip to draw (30 s of it): its file's name without suffix.  "
    "[default: the first, of --run the first that it tests]",
)
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Draw what a trained network looks at, too: a run folder of a 1-D CNN.",
)
@click.option(
    "--frontend",
    type=click.Choice(list(PRESETS)),
    metavar="NAME",
    default="librosa",
    show_default=True,
    help=f"Features to draw: {', '.join(PRESETS)}.",
)
@click.option(
    "--augmentation",
    metavar="NAME|FILE.toml",
    default="microphone",
    show_default=True,
    help="Steps to draw: cktim, wav2vec2, microphone, anywhere, or a file with [augmentation].",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the augmentation: another seed, other numbers.",
)
@format_option("Of the counts: a table to read, or one of three formats for programs.")
@debug_option
def command(
    corpus: str,
    folder: Path,
    clip: str | None,
    run_folder: Path | None,
    frontend: str,
    augmentation: str,
    seed: int,
    format_: str,
) -> None:
    """Draw training data: clips of each label, a clip with its features, augmentations.

    CORPUS is a folder, a CSV manifest, or a known corpus (see 'edge-ser evaluate --help').

    FOLDER gets three pictures: class_counts.png, the clips of each label by split; clip.png, one
    clip's waveform and features; augmentations.png, the same clip after each step. Needs the
    extra [plot]: pip install 'edge-ser[plot]'.

    With --run it gets what that run learnt, finished or not: filters_1.png and filters_2.png of
    the first two convolutions; frequency_view.png, what the first lets through; feature_maps.png
    of the clip; class_activation.png, what in it speaks for the answer. Needs the extra [torch].

    \b
    Examples:
      edge-ser preview emodb -o look/
      edge-ser preview emodb -o look/ --clip 03a01Fa --frontend log-mel
      edge-ser preview my_corpus/ -o look/ --augmentation mine.toml
      edge-ser preview speech_commands -o look/ --run RUN

    The counts by label and speaker go to standard output.
    """
    from edge_ser.corpora import read_corpus
    from edge_ser.lab.datasets import by_name, classes_of
    from edge_ser.lab.pictures.data import draw_augmentations, draw_class_counts, draw_clip
    from edge_ser.lab.pictures.trained import TRAINED, draw_trained

    steps = _augmentation(augmentation)
    run = _run(run_folder) if run_folder else None
    clips = read_corpus(corpus)
    named = by_name(clips)
    name = _chosen(clips, named, clip or _tested(run, named))
    pictures = [folder / picture for picture in (*PICTURES, *(TRAINED if run else ()))]
    _refuse(pictures, corpus, augmentation, clips)

    labels = tuple(label for label in classes_of(clips) if label in clips.labels)
    counts = _counts(clips, labels)
    spec = PRESETS[frontend]
    samples = _beginning(named[name].path, spec)
    _folder(folder)
    draw_class_counts(counts, pictures[0], clips.name)
    title = f"{name}: {named[name].label}"
    draw_clip(samples, spec, pictures[1], title)
    draw_augmentations(steps, samples, spec, pictures[2], seed, title)
    if run:
        draw_trained(run, named[name], folder, title)
    pieces = rendered(
        _rows(clips), format_, fields=FIELDS, table=lambda _: _table(clips, counts, labels)
    )
    write(pieces, None)
