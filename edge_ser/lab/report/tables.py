"""The tables of a report: rows of short texts, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_ser.bench.wording import clean, number_of
from edge_ser.lab.report.compare import MISSING, Comparison, Group, telling
from edge_ser.lab.report.figures import LATE, WAYS, Look, best, chooses, kept, late
from edge_ser.lab.report.records import RunRecord

__all__ = [
    "Table",
    "calibration_table",
    "confusion_table",
    "figures_table",
    "label",
    "numeric",
    "percentage",
    "runs_table",
    "setting_rows",
    "shown",
    "titles",
    "ways_table",
]

UNFINISHED = "unfinished"
MOST_VALUE = 48
"""Characters of a value of a configuration."""

Row = tuple[str, ...]
Table = tuple[Row, list[Row]]
"""Heads of the columns, and the rows; what stands on a cell's second line matters less."""


def shown(value: object) -> str:
    """A value of a configuration.

    >>> shown(25.0), shown(True), shown(""), shown([{"name": "gain", "db": 3}])
    ('25', 'yes', 'none', 'gain db 3')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        parts = [_step(part) if isinstance(part, Mapping) else str(part) for part in value]
        value = ", ".join(parts)
    text = clean(value) or "none"
    return text if len(text) <= MOST_VALUE else text[: MOST_VALUE - 1] + "…"


def _step(values: Mapping[str, object]) -> str:
    """A table within a list, as the steps of an augmentation are."""
    others = (f"{key} {value}" for key, value in values.items() if key != "name")
    return " ".join([str(values.get("name", "")), *others]).strip()


def titles(keys: Sequence[str]) -> Row:
    """The last parts of keys; those that are called the same keep their section.

    >>> titles(["network.name", "network.omega_0", "training.mode", "augmentation.mode"])
    ('network', 'omega_0', 'training mode', 'augmentation mode')
    """
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    return tuple(
        clean(key.replace(".", " ") if short.count(part) > 1 else part)
        for key, part in zip(keys, short, strict=True)
    )


def label(comparison: Comparison, group: Group) -> str:
    """What tells a group from the others, in a line.

    A name stands for itself, and so does a word; a number or yes and no need their key.
    """
    keys = telling(comparison.groups)
    values = [group.values[key] for key in keys]
    parts = [
        shown(value) if isinstance(value, str) and value else f"{head} {shown(value)}"
        for head, value in zip(titles(keys), values, strict=True)
    ]
    if len({run.epochs for run in comparison.runs}) > 1:
        parts.append(f"{_epochs(group.runs)} epochs")
    return ", ".join(parts) or "all runs"


def _differences(comparison: Comparison) -> tuple[Row, list[Row]]:
    """First columns of every table of groups."""
    if not comparison.keys:
        return ("experiment",), [(label(comparison, group),) for group in comparison.groups]
    return titles(comparison.keys), [
        tuple(map(shown, group.values.values())) for group in comparison.groups
    ]


def figures_table(comparison: Comparison) -> Table:
    """What each experiment reached at the last epoch, over its runs and over its clips."""
    heads, firsts = _differences(comparison)
    columns: dict[str, list[str]] = {
        "runs": [_grid(group) for group in comparison.groups],
        "epochs": [_epochs(group.runs) for group in comparison.groups],
        "parameters": [_parameters(group) for group in comparison.groups],
    }
    for figure, name in (("accuracy", "accuracy"), ("uar", "UAR")):
        columns[name] = [_reached(group, figure) for group in comparison.groups]
    columns["clips"] = [f"{g.pooled.clips:,}" if g.pooled else "" for g in comparison.groups]
    for figure, name in (("accuracy", "pooled accuracy"), ("uar", "pooled UAR")):
        columns[name] = [_pooled(group, figure) for group in comparison.groups]
    return _joined(heads, firsts, columns)


def ways_table(comparison: Comparison) -> Table:
    """The same runs by the epoch that is told."""
    heads, firsts = _differences(comparison)
    columns = {
        f"{name}, {way}": [_spread(group, way, figure) for group in comparison.groups]
        for figure, name in (("accuracy", "accuracy"), ("uar", "UAR"))
        for way in WAYS
        if way != "kept" or any(map(chooses, comparison.runs))
    }
    return _joined(heads, firsts, columns)


def _joined(heads: Row, firsts: Sequence[Row], columns: Mapping[str, list[str]]) -> Table:
    """First columns and those others that hold something."""
    full = {name: cells for name, cells in columns.items() if any(cells)}
    rows = [(*first, *cells) for first, *cells in zip(firsts, *full.values(), strict=True)]
    return (*heads, *full), rows


def runs_table(comparison: Comparison) -> Table:
    """Every run; one that is not finished says how far it is, and has no figures."""
    head = ("run", "experiment", "fold", "seed", "speakers", "clips", "epochs", "accuracy", "UAR",
            f"last {LATE}", "leaky best")  # fmt: skip
    rows = [
        _run_row(run, label(comparison, group)) for group in comparison.groups for run in group.runs
    ]
    keep = [at for at, cells in enumerate(zip(*rows, strict=True)) if any(cells)]
    if len(comparison.groups) < 2:
        keep.remove(1)
    if all(row[0].startswith(row[2]) for row in rows):  # folders are called after their folds
        keep.remove(2)
    return tuple(head[at] for at in keep), [tuple(row[at] for at in keep) for row in rows]


def _run_row(run: RunRecord, of: str) -> Row:
    what = (clean(run.name), of, clean(run.fold), clean(run.seed), clean(", ".join(run.speakers)))
    clips = f"{len(run.test):,}"
    if not run.finished:
        return *what, clips, f"{len(run.rows)} of {run.epochs}", UNFINISHED, "", "", ""
    final, highest = kept(run), best(run)
    return (
        *(*what, clips, str(run.epochs), _look(final, "accuracy"), _look(final, "uar")),
        _look(late(run), "accuracy"),
        f"{_look(highest, 'accuracy')} at {highest.epoch}" if highest else "",
    )


def confusion_table(group: Group) -> Table | None:
    """Answers of all runs of a group, with the recall of each label."""
    pooled = group.pooled
    if pooled is None:
        return None
    names = tuple(map(clean, pooled.classes))
    rows = [
        (name, *map(str, counts), percentage(counts[at] / sum(counts)) if any(counts) else "")
        for at, (name, counts) in enumerate(zip(names, pooled.confusion, strict=True))
    ]
    return ("true \\ answer", *names, "recall"), rows


def calibration_table(comparison: Comparison) -> Table | None:
    """How far confidence is from accuracy, as it is and after cross-fitted temperature scaling."""
    rows: list[Row] = []
    for group in comparison.groups:
        if group.pooled:
            ece, fitted = percentage(group.pooled.ece), group.pooled.calibration
            after = (percentage(fitted.ece), f"{fitted.temperature:.3f}") if fitted else ("", "")
            rows.append((label(comparison, group), ece, *after))
    return (("experiment", "ECE", "ECE scaled", "temperature"), rows) if rows else None


def numeric(table: Table) -> tuple[bool, ...]:
    """Of each column, whether it holds numbers, which stand to the right; means do so only if all
    have a spread behind them or none has."""
    columns = zip(*table[1], strict=True) if table[1] else [() for _ in table[0]]
    return tuple(
        all(cell[:1] in "0123456789±" or cell in (UNFINISHED, MISSING) for cell in column)
        and len({" ± " in cell for cell in column if cell}) < 2
        for column in columns
    )


def setting_rows(settings: Mapping[str, object]) -> list[Row]:
    """Section by section what all runs have the same, for a list."""
    sections: dict[str, list[str]] = {}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        sections.setdefault(clean(section), []).append(f"{clean(name)} {shown(value)}")
    return [(section, "; ".join(values)) for section, values in sections.items()]


def percentage(share: float) -> str:
    """A share as a percentage without its sign, one digit behind the point."""
    return f"{100 * share:.1f}"


def _spread(group: Group, way: str, figure: str) -> str:
    """Mean and standard deviation, which one run alone has not."""
    found = group.spread(way, figure)
    if found is None:
        return ""
    over = f" ± {percentage(found.std)}" if len(group.tested) > 1 else ""
    return percentage(found.mean) + over


def _reached(group: Group, figure: str) -> str:
    seeds = group.over_seeds("kept", figure)
    over = "" if seeds is None else f"\n(seeds ± {percentage(seeds)})"
    return _spread(group, "kept", figure) + over


def _look(found: Look | None, figure: str) -> str:
    return percentage(getattr(found, figure)) if found else ""


def _pooled(group: Group, figure: str) -> str:
    if group.pooled is None:
        return ""
    low, high = getattr(group.pooled, f"{figure}_interval")
    middle = getattr(group.pooled, figure)
    return f"{percentage(middle)}\n({percentage(low)} to {percentage(high)})"


def _grid(group: Group) -> str:
    """Finished runs: folds, and seeds where there are several."""
    if not group.finished:
        return "none finished"
    folds, seeds, runs = len(group.folds), len(group.seeds), len(group.finished)
    said = number_of(folds, "fold")
    if seeds < 2:
        return said if folds == runs else f"{said}\n({number_of(runs, 'run')})"
    whole = runs == folds * seeds
    return f"{said}\n({seeds} seeds)" if whole else f"{said}\n({seeds} seeds, {runs} runs)"


def _epochs(runs: Sequence[RunRecord]) -> str:
    found = sorted({run.epochs for run in runs})
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _parameters(group: Group) -> str:
    found = sorted({run.parameters for run in group.runs if run.parameters is not None})
    if not found:
        return ""
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
