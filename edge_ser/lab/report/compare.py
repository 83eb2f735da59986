"""Runs told apart: which are of one experiment, in what the experiments differ, what each reached.

Runs of one experiment differ in their fold and their seeds alone. Whatever else differs between
the runs at hand tells experiments apart, and stands first in the tables.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import combinations

from edge_ser.errors import UsageError
from edge_ser.evaluation import Spread, spread
from edge_ser.lab.report.figures import WAYS, Look
from edge_ser.lab.report.pooling import Pooled, pooled
from edge_ser.lab.report.records import RunRecord

__all__ = ["MISSING", "Comparison", "Group", "compare", "telling"]

ASIDE = ("training.seed", "protocol.seed", "training.evaluate_every")
"""Keys in which runs of one experiment may differ: chance, and how often one looks."""
MISSING = "-"
"""The value of a key that a run's configuration has not."""
MOST_KEYS = 6
"""Columns of differences; beyond them those are left out that differ along with others."""
HAVE_COLUMNS = ("training.epochs",)
"""Keys that every table shows anyway."""

Settings = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """The runs of one experiment."""

    values: Mapping[str, object]
    """What tells it from the other groups, by key; empty where there is one group alone."""
    runs: tuple[RunRecord, ...]
    """All of them, finished or not."""

    @cached_property
    def finished(self) -> tuple[RunRecord, ...]:
        """The runs that count."""
        return tuple(run for run in self.runs if run.finished)

    @cached_property
    def tested(self) -> tuple[RunRecord, ...]:
        """The finished runs that have something to test."""
        return tuple(run for run in self.finished if run.test)

    @property
    def folds(self) -> tuple[str, ...]:
        """Of the finished runs."""
        return tuple(dict.fromkeys(run.fold for run in self.finished))

    @property
    def seeds(self) -> tuple[object, ...]:
        """Of the finished runs."""
        return tuple(dict.fromkeys(run.seed for run in self.finished))

    def looks(self, way: str) -> list[tuple[RunRecord, Look]]:
        """Of the tested runs, by a way of `WAYS`; empty where one of them has none."""
        found = [(run, WAYS[way](run)) for run in self.tested]
        return [(run, look) for run, look in found if look is not None] if _all(found) else []

    def spread(self, way: str, figure: str) -> Spread | None:
        """Mean and sample standard deviation over folds and seeds of `accuracy` or `uar`."""
        found = self.looks(way)
        return spread(getattr(look, figure) for _, look in found) if found else None

    def over_seeds(self, way: str, figure: str) -> float | None:
        """Sample standard deviation, over seeds, of the mean over the folds that all seeds have.

        None under two seeds, or without such a fold.
        """
        by_seed: dict[object, dict[str, list[float]]] = {}
        for run, look in self.looks(way):
            of_seed = by_seed.setdefault(run.seed, {})
            of_seed.setdefault(run.fold, []).append(getattr(look, figure))
        common = set.intersection(*map(set, by_seed.values())) if by_seed else set()
        if len(by_seed) < 2 or not common:
            return None
        means = [
            statistics.fmean(value for fold in sorted(common) for value in of_seed[fold])
            for of_seed in by_seed.values()
        ]
        return statistics.stdev(means)

    @cached_property
    def pooled(self) -> Pooled | None:
        """All tested clips of all runs together."""
        return pooled(self.tested)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Experiments side by side."""

    keys: tuple[str, ...]
    """That tell the groups apart, in the order of the configuration."""
    groups: tuple[Group, ...]
    """In the order of their values."""
    along: tuple[str, ...]
    """Keys that differ too, but only along with `keys`, or beyond what a table can hold."""
    varied: tuple[str, ...]
    """Keys that differ within a group: only where the caller named the keys."""
    common: Mapping[str, object]
    """What all runs have the same."""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All of them."""
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def tests(self) -> bool:
        """Whether any run has something to test: without, no figure needs to be explained."""
        return any(run.test for run in self.runs)


def telling(groups: Sequence[Group]) -> tuple[str, ...]:
    """Those of the groups' keys that suffice to tell them apart, the first ones rather."""
    keys = list(groups[0].values) if groups else []
    apart = _kinds(groups, keys)
    for key in reversed(tuple(keys)):
        fewer = [other for other in keys if other != key]
        if fewer and _kinds(groups, fewer) == apart:
            keys = fewer
    return tuple(keys)


def _kinds(groups: Sequence[Group], keys: Sequence[str]) -> int:
    return len({repr([group.values[key] for key in keys]) for group in groups})


def compare(runs: Sequence[RunRecord], by: Sequence[str] = ()) -> Comparison:
    """Group runs by their configurations.

    Args:
        runs: at least one.
        by: keys, or their last parts, that alone tell groups apart; without them all that differ
            do, but for the fold and the seeds.

    Raises:
        UsageError: no run, or a key that no run has.
    """
    if not runs:
        raise UsageError("no run to report on: name run folders")
    known = list(dict.fromkeys(key for run in runs for key in run.settings))
    differing = [key for key in known if len({_value(run, key) for run in runs}) > 1]
    apart = [key for key in differing if key not in ASIDE]
    chosen = [_key(name, known) for name in by] or apart
    gathered: dict[Settings, list[RunRecord]] = {}
    for run in sorted(runs, key=_in_order):
        gathered.setdefault(tuple(_value(run, key) for key in chosen), []).append(run)
    shown = tuple(chosen) if by else tuple(_worth_a_column(chosen, runs))
    ordered = sorted(gathered.values(), key=lambda found: _order(found[0], (*shown, *chosen)))
    groups = tuple(
        Group({key: found[0].settings.get(key, MISSING) for key in shown}, tuple(found))
        for found in ordered
    )
    first = runs[0].settings
    return Comparison(
        keys=shown,
        groups=groups,
        along=tuple(k for k in chosen if k not in shown and k not in HAVE_COLUMNS),
        varied=tuple(key for key in apart if key not in chosen),
        common={key: first[key] for key in known if key not in differing},
    )


def _worth_a_column(keys: Sequence[str], runs: Sequence[RunRecord]) -> Iterator[str]:
    """Keys to show: all but those that the name of their section tells, as a network's name does;
    or where they are many, those that say what no other or two others say."""
    names = {key.rpartition(".")[0]: key for key in keys if key.endswith(".name")}
    keys = [
        key
        for key in keys
        if key not in HAVE_COLUMNS
        and (key in names.values() or not _said_by(_name_of(key, names), key, runs))
    ]
    if len(keys) <= MOST_KEYS:
        yield from keys
        return
    shown: list[str] = []
    for key in keys:
        if len(shown) < MOST_KEYS and not _said_by(shown, key, runs):
            shown.append(key)
            yield key


def _name_of(key: str, names: Mapping[str, str]) -> list[str]:
    return [name for section, name in names.items() if section == key.partition(".")[0]]


def _said_by(shown: Sequence[str], key: str, runs: Sequence[RunRecord]) -> bool:
    """Whether one or two of the shown keys already tell the key's value."""
    for pair in (*((one,) for one in shown), *combinations(shown, 2)):
        seen: dict[Settings, object] = {}
        if all(
            seen.setdefault(tuple(_value(run, k) for k in pair), _value(run, key))
            == _value(run, key)
            for run in runs
        ):
            return True
    return False


def _value(run: RunRecord, key: str) -> object:
    """A value that can be compared and be a key: lists and tables are compared by how they look."""
    value = run.settings.get(key, MISSING)
    if key == "training.keep" and value == "best_test":
        return "last"  # it saves more, but the run's own weights are the last
    return repr(value) if isinstance(value, (list, dict)) else value


def _key(name: str, known: Sequence[str]) -> str:
    """The key that is called so, in full or by its last part."""
    found = [key for key in known if key == name or key.endswith(f".{name}")]
    if name in found or len(found) == 1:
        return name if name in found else found[0]
    if found:
        raise UsageError(f"--by {name}: expected one key, that is {' or '.join(found)}: name it")
    near = get_close_matches(name, [*known, *(key.rpartition(".")[2] for key in known)], n=1)
    hint = f"did you mean {near[0]}?" if near else "see config.toml in a run folder"
    raise UsageError(f"--by {name}: no run has this key, expected one of config.toml; {hint}")


def _in_order(run: RunRecord) -> tuple[object, ...]:
    return run.fold, str(run.seed).rjust(20), str(run.folder)


def _order(run: RunRecord, keys: Sequence[str]) -> list[tuple[bool, float, str]]:
    """Numbers by size, then texts by their letters, then what is missing."""
    return [_rank(run.settings.get(key, MISSING)) for key in keys]


def _rank(value: object) -> tuple[bool, float, str]:
    if isinstance(value, (bool, int, float)):
        return False, float(value), ""
    return True, math.inf if value == MISSING else 0.0, str(value)


def _all(found: Sequence[tuple[RunRecord, Look | None]]) -> bool:
    return all(look is not None for _, look in found)
