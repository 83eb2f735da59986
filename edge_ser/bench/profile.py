"""What each operator of a model costs, and which of them the accelerator did not take.

ONNX Runtime has a profiler. The TFLite runtimes for Python have none: there each operator is cut
out of the graph and timed alone, on the values that it got in the whole graph. Both leave
something out, so the sum of the operators always stands beside the time of the whole graph.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ser.bench.macs import example_features
from edge_ser.bench.operator_times import (
    ROUNDS,
    Progress,
    Times,
    settled,
    time_onnx,
    time_tflite,
)
from edge_ser.card import naming, read_model
from edge_ser.container import kind_of
from edge_ser.evaluation.report import markdown_table
from edge_ser.runtime import Interpreter, open_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OperatorTime", "Profile", "as_markdown", "profile", "profile_payload"]

TOP = 20
"""Operators that the table shows; the rest is one line."""


@dataclass(frozen=True)
class OperatorTime:
    """What one operator costs in one run of the graph."""

    number: int
    """In the runtime's order."""
    name: str
    kind: str
    """As the format names it."""
    ms: float
    error_ms: float
    share: float
    """Of the sum over all operators, 0 to 1."""
    macs: int | None
    """Multiply-accumulates as it runs, with channels that a runtime adds to fill its vectors;
    0 for an operator that sums no products, None where they are not known."""
    taken: bool
    """By the delegate, or by the provider that was asked for; else by plain kernels."""


@dataclass(frozen=True)
class Profile:
    """A model's operators and what they cost on one machine."""

    runtime: str
    version: str
    provider: str
    threads: int
    method: str
    """How the times were got, and what their error is."""
    operators: tuple[OperatorTime, ...]
    """Costliest first."""
    whole_ms: float
    """The graph as it is used, timed between the rounds; processor time where one thread does
    all the work."""
    whole_error_ms: float
    untimed: Mapping[str, int]
    """How many operators of which type have no time: those of constants alone, which run once
    when the model is opened, and those that do not run alone."""

    @property
    def sum_ms(self) -> float:
        """All operators together."""
        return sum(operator.ms for operator in self.operators)

    @property
    def left(self) -> Mapping[str, int]:
        """How many operators of which type neither delegate nor provider took."""
        return Counter(operator.kind for operator in self.operators if not operator.taken)


def profile(
    model: str | Path,
    provider: str = "cpu",
    threads: int = 1,
    runs: int = 100,
    progress: Progress = lambda done, total: None,
) -> Profile:
    """Time the operators of a model file.

    Args:
        model: a `.tflite` or `.onnx` file with its card.
        provider: as `open_model` takes it. On another one than `cpu` ONNX Runtime's times are
            those of the calling thread, which may only hand work over.
        threads: of the runtime.
        runs: of each operator; at least one in each of five rounds.
        progress: is told the rounds that are done, and how many there are.

    Raises:
        ModelError: the file cannot be read, its hashes do not hold, or it does not run.
        ProviderError: a provider that is not there or took no node of the graph.
        DependencyError: no runtime for this kind of file is installed.
    """
    file = read_model(model)
    with naming(file.path):
        return profile_payload(
            file.payload, example_features(file.card), provider, threads, runs, progress
        )


def profile_payload(
    payload: bytes,
    features: Sequence[NDArray[Any]],
    provider: str = "cpu",
    threads: int = 1,
    runs: int = 100,
    progress: Progress = lambda done, total: None,
) -> Profile:
    """As `profile`, of the bytes that a runtime opens and features that the graph takes."""
    whole = open_model(payload, provider, threads)
    measure = time_tflite if kind_of(payload) == "tflite" else time_onnx
    times = measure(payload, features, whole, threads, runs, progress)
    return _made(whole, threads, times)


def as_markdown(profile: Profile, top: int = TOP) -> str:
    """The costliest operators, all types, and what the accelerator left, as Markdown."""
    difference = profile.sum_ms - profile.whole_ms
    parts = [
        f"{profile.runtime} {profile.version}, provider {profile.provider}, threads "
        f"{profile.threads}. Times: {profile.method}.",
        f"Operators together {profile.sum_ms:.3f} ms; the whole graph {profile.whole_ms:.3f} +- "
        f"{profile.whole_error_ms:.3f} ms ({_percent(difference, profile.whole_ms)} between them).",
        markdown_table(
            ("operator", "type", "ms", "+-", "share", "MMAC", "GMAC/s", "taken"),
            [_row(operator) for operator in profile.operators[:top]] + _rest(profile, top),
        ),
        markdown_table(("type", "operators", "ms", "share", "MMAC", "GMAC/s"), _types(profile)),
        f"Not taken by the {'delegate' if profile.runtime != 'onnxruntime' else 'provider'}: "
        f"{_listed(profile.left)}.",
    ]
    if profile.untimed:
        parts.append(
            f"Without a time (of constants alone, or not to be run alone): "
            f"{_listed(profile.untimed)}."
        )
    return "\n\n".join(parts) + "\n"


def _made(whole: Interpreter, threads: int, times: Times) -> Profile:
    figures = [settled(operator.rounds_ms) for operator in times.operators]
    total = sum(ms for ms, _ in figures)
    operators = [
        OperatorTime(
            number=timed.number,
            name=timed.name,
            kind=timed.kind,
            ms=ms,
            error_ms=error_ms,
            share=ms / total if total else 0.0,
            macs=timed.macs,
            taken=timed.taken,
        )
        for timed, (ms, error_ms) in zip(times.operators, figures, strict=True)
    ]
    whole_ms, whole_error_ms = settled(times.whole_rounds_ms)
    return Profile(
        runtime=str(whole.details["runtime"]),
        version=str(whole.details["version"]),
        provider=whole.provider,
        threads=threads,
        method=f"{times.method}; median of {ROUNDS} rounds, +- half the distance between their "
        "quartiles",
        operators=tuple(sorted(operators, key=lambda operator: -operator.ms)),
        whole_ms=whole_ms,
        whole_error_ms=whole_error_ms,
        untimed=times.untimed,
    )


def _row(operator: OperatorTime) -> tuple[str, ...]:
    return (
        _short(operator.name),
        operator.kind,
        f"{operator.ms:.3f}",
        f"{operator.error_ms:.3f}",
        f"{operator.share:.1%}",
        *_products(operator.macs, operator.ms),
        "yes" if operator.taken else "no",
    )


def _rest(profile: Profile, top: int) -> list[tuple[str, ...]]:
    """What the table leaves out, as one row."""
    rest = profile.operators[top:]
    if not rest:
        return []
    ms = sum(operator.ms for operator in rest)
    share = sum(operator.share for operator in rest)
    macs = _sum(operator.macs for operator in rest)
    name = f"{len(rest)} more"
    return [(name, "", f"{ms:.3f}", "", f"{share:.1%}", *_products(macs, ms), "")]


def _types(profile: Profile) -> list[tuple[str, ...]]:
    groups: dict[str, list[OperatorTime]] = defaultdict(list)
    for operator in profile.operators:
        groups[operator.kind].append(operator)
    rows = []
    for kind, group in groups.items():
        ms = sum(operator.ms for operator in group)
        share = sum(operator.share for operator in group)
        macs = _sum(operator.macs for operator in group)
        row = (kind, str(len(group)), f"{ms:.3f}", f"{share:.1%}", *_products(macs, ms))
        rows.append((ms, row))
    return [row for _, row in sorted(rows, key=lambda pair: -pair[0])]


def _products(macs: int | None, ms: float) -> tuple[str, str]:
    """Millions of multiply-accumulates, and thousands of millions a second."""
    if macs is None:
        return "unknown", ""
    if macs == 0:
        return "", ""
    return f"{macs / 1e6:.3f}", f"{macs / ms / 1e6:.1f}" if ms else ""


def _sum(counts: Iterable[int | None]) -> int | None:
    """None where one of them is not known."""
    numbers = list(counts)
    return None if None in numbers else sum(number or 0 for number in numbers)


def _listed(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())) or "none"


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:+.0%}" if whole else "unknown"


def _short(name: str, length: int = 48) -> str:
    """The end of a name, which is what tells layers apart."""
    return name if len(name) <= length else "..." + name[-length + 3 :]
