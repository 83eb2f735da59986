"""What a reader of a comparison must know: what was compared, by which protocol, what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edge_ser.bench.wording import clean, number_of
from edge_ser.lab.report.compare import Comparison
from edge_ser.lab.report.figures import LATE, chooses
from edge_ser.lab.report.tables import label, titles

__all__ = [
    "CALIBRATION",
    "LEAKY",
    "figures",
    "headline",
    "notes",
    "protocols",
    "warnings",
    "ways",
]

PROTOCOLS = {
    "grouped": "folds by speaker: nobody who is tested was heard in training",
    "loso": "one speaker is left out at a time: nobody who is tested was heard in training",
    "loco": "one corpus is left out at a time: speakers, sentences and microphones are all unheard",
    "holdout": "one split by speaker: nobody who is tested was heard in training",
    "official": "the corpus's own split",
    "published": "folds over shuffled clips: the same speakers train and are tested",
    "stratified": "a random share of the clips of each label: the same speakers train and are "
    "tested",
    "whole": "all clips train and none is tested",
}
LEAKY = ("published", "stratified")
"""Protocols whose figures say nothing of a speaker who was never heard."""
FIGURES = "Accuracy and UAR (the mean recall of the labels) in percent."
SPREAD = "Mean ± sample standard deviation over folds and seeds"
SEEDS = "seeds: that of each seed's mean over the folds"
INTERVALS = (
    "Pooled figures are over all tested clips together, with 95 % intervals of the clips: "
    "clips of one speaker are alike, so other speakers may lie outside."
)
CALIBRATION = (
    "ECE: expected calibration error in percent, how far confidence is from accuracy. Scaled: each "
    "fold by the temperature that fits the others; the temperature is that of all folds."
)


def headline(comparison: Comparison) -> str:
    """What is compared, in a sentence."""
    runs, groups = len(comparison.runs), len(comparison.groups)
    said = f"{number_of(runs, 'run')} of {number_of(groups, 'experiment')}"
    if comparison.keys:
        said += f", told apart by {_listed(titles(comparison.keys))}"
    return said + "."


def protocols(comparison: Comparison) -> Iterator[str]:
    """Each protocol among the runs, explained."""
    for name in dict.fromkeys(run.protocol for run in comparison.runs):
        yield f"{clean(name)}: {PROTOCOLS.get(name, 'a protocol that this report does not know')}"


def warnings(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """What keeps figures from being what they seem: a word and its sentence."""
    leaky = sorted({run.protocol for run in comparison.runs} & set(LEAKY))
    if leaky:
        yield (
            "Leaky.",
            f"Under {_listed(leaky)} the speakers who are tested also train: these figures are "
            "higher than for a stranger's voice.",
        )
    if not all(run.finished for run in comparison.runs):
        yield "Unfinished.", f"{_listed(list(_waiting(comparison)))}: listed and not counted."


def _waiting(comparison: Comparison) -> Iterator[str]:
    """Runs that are not finished; of those that are called alike, the experiment too."""
    names = Counter(run.name for run in comparison.runs)
    for group in comparison.groups:
        for run in group.runs:
            if not run.finished:
                of = f"{label(comparison, group)}; " if names[run.name] > 1 else ""
                yield f"{clean(run.name)} ({of}{len(run.rows)} of {run.epochs} epochs)"


def figures(comparison: Comparison) -> str:
    """What the table of figures means."""
    if any(map(chooses, comparison.runs)):
        told = (
            "Told by the weights that each run keeps: of the last epoch, or where keep is "
            "best_validation, of the epoch with the lowest validation loss."
        )
    else:
        told = "Told of the last epoch, which was set beforehand."
    said = [FIGURES]
    if any(len(group.tested) > 1 for group in comparison.groups):
        seeds = any(group.over_seeds("kept", "accuracy") is not None for group in comparison.groups)
        said.append(f"{SPREAD}; {SEEDS}." if seeds else f"{SPREAD}.")
    return " ".join([*said, told, INTERVALS])


def ways(comparison: Comparison) -> str:
    """What the table by epoch means."""
    looked = any(run.settings.get("training.evaluate_every", 1) != 1 for run in comparison.runs)
    said = f"Last {LATE}: the mean over those of the last {LATE} epochs that were tested. "
    if looked:
        said += "Not every epoch was tested. "
    return said + (
        "Leaky best: the epoch that did best on the very clips that it is told of, as the papers "
        "choose it; no figure to expect of new clips."
    )


def notes(comparison: Comparison) -> Iterator[str]:
    """What is to be known beside the tables."""
    if comparison.along:
        yield f"What else differs, along with the columns: {_listed(comparison.along)}."
    if comparison.varied:
        yield (
            f"Taken together although they differ: {_listed(comparison.varied)}; the spread is "
            "over these too."
        )
    for group in comparison.groups:
        met = Counter((run.fold, run.seed) for run in group.finished)
        twice = [
            f"{clean(fold)} with seed {clean(seed)}" for (fold, seed), n in met.items() if n > 1
        ]
        if twice and not comparison.varied:
            yield f"More than one run of {_listed(twice)}: each counts."
        if group.tested and group.pooled is None:
            yield "Labels of the tested clips are not recorded in all runs: nothing is pooled."
            break
    if any(run.finished and not run.test for run in comparison.runs):
        yield "A run that tests nothing has no figures: its weights are to be used, not judged."


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = [clean(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
