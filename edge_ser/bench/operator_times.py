"""Times of single operators, by the way that each runtime allows."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_ser.bench.graph import count
from edge_ser.runtime import Interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_ser.bench.graph_onnx import Event

__all__ = ["ROUNDS", "Progress", "Timed", "Times", "settled", "time_onnx", "time_tflite"]

ROUNDS = 5
"""Parts of a measurement, between which other things were timed; their spread is its error."""
WARM_UP = 2
"""Runs that are not counted, before each part."""

Progress = Callable[[int, int], None]
Clock = Callable[[], float]

ALONE = (
    "each operator timed alone, cut out of the graph and fed with what it gets there, in "
    "{clock} time as the whole graph is"
)
PROFILER = (
    "ONNX Runtime's profiler, wall time in whole microseconds of the calling thread; the whole "
    "graph without profiler, in {clock} time"
)


@dataclass(frozen=True)
class Timed:
    """One operator."""

    number: int
    name: str
    kind: str
    rounds_ms: Sequence[float]
    """Median of each round, milliseconds."""
    macs: int | None
    taken: bool


@dataclass(frozen=True)
class Times:
    """All operators of a graph, and the graph as it is used."""

    method: str
    operators: Sequence[Timed]
    whole_rounds_ms: Sequence[float]
    untimed: Mapping[str, int] = field(default_factory=dict)
    """How many operators of which type have no time."""


def settled(rounds: Sequence[float]) -> tuple[float, float]:
    """Median of rounds, and half the distance between their quartiles as its error.

    >>> settled([1.0, 9.0, 2.0, 3.0, 2.5])
    (2.5, 0.5)
    """
    if len(rounds) < 2:
        return statistics.median(rounds), 0.0
    low, middle, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return middle, (high - low) / 2


def time_tflite(
    payload: bytes,
    features: Sequence[NDArray[Any]],
    whole: Interpreter,
    threads: int,
    runs: int,
    progress: Progress,
) -> Times:
    """Each operator alone, cut out of the graph; rounds go through all of them.

    With one thread it is processor time that counts: a busy machine then does not show.
    """
    from edge_ser.bench.graph_tflite import OpenGraph

    graph = OpenGraph(payload, features)
    operators, taken = graph.operators(), graph.taken(threads)
    clock = _clock(threads)
    each = max(1, runs // ROUNDS)
    rounds: list[list[float]] = [[] for _ in operators]
    wholes = []
    for done in range(ROUNDS):
        progress(done, ROUNDS)
        wholes.append(_median_ms(lambda: whole.run(features), each, clock))
        for number, times in enumerate(rounds):
            alone = graph.alone(number, threads)
            if alone is not None:
                times.append(_median_ms(alone.invoke, each, clock))
    progress(ROUNDS, ROUNDS)
    timed = [
        Timed(number, operator.name, operator.kind, times, count(operator), number in taken)
        for number, (operator, times) in enumerate(zip(operators, rounds, strict=True))
    ]
    return Times(
        ALONE.format(clock=_named(clock)),
        [operator for operator in timed if operator.rounds_ms],
        wholes,
        Counter(operator.kind for operator in timed if not operator.rounds_ms),
    )


def time_onnx(
    payload: bytes,
    features: Sequence[NDArray[Any]],
    whole: Interpreter,
    threads: int,
    runs: int,
    progress: Progress,
) -> Times:
    """What ONNX Runtime's profiler says of each operator; each round is a session of its own."""
    from edge_ser.bench.graph_onnx import profiled_runs

    clock = _clock(threads) if whole.provider == "cpu" else time.perf_counter
    each = max(1, runs // ROUNDS)
    rounds: dict[tuple[int, str], list[float]] = defaultdict(list)
    nodes: dict[tuple[int, str], list[Event]] = {}
    wholes = []
    for done in range(ROUNDS):
        progress(done, ROUNDS)
        wholes.append(_median_ms(lambda: whole.run(features), each, clock))
        spent: dict[tuple[int, str], list[float]] = defaultdict(list)
        asked = WARM_UP + each
        with profiled_runs(payload, features, asked, whole.provider, threads) as profiled:
            for at, events in enumerate(profiled):
                if at >= WARM_UP:
                    nodes = _by_node(events)
                    for node, found in nodes.items():
                        spent[node].append(sum(event.us for event in found) / 1000)
        for node, times in spent.items():
            rounds[node].append(statistics.median(times))
    progress(ROUNDS, ROUNDS)
    timed = [_timed(found, rounds[node], whole.provider) for node, found in nodes.items()]
    return Times(PROFILER.format(clock=_named(clock)), timed, wholes)


def _by_node(events: Sequence[Event]) -> dict[tuple[int, str], list[Event]]:
    """Events of one run by node; one inside a loop has several."""
    found: dict[tuple[int, str], list[Event]] = defaultdict(list)
    for event in events:
        found[event.number, event.operator.name].append(event)
    return found


def _timed(events: Sequence[Event], rounds: Sequence[float], provider: str) -> Timed:
    first = events[0]
    counts = [count(event.operator) for event in events]
    known = [number for number in counts if number is not None]
    return Timed(
        first.number,
        first.operator.name,
        first.operator.kind,
        rounds,
        sum(known) if len(known) == len(counts) else None,
        first.provider == provider,
    )


def _clock(threads: int) -> Clock:
    """Processor time of this thread where it does all the work, so that other jobs do not count."""
    return time.thread_time if threads == 1 else time.perf_counter


def _named(clock: Clock) -> str:
    return "processor" if clock is time.thread_time else "wall"


def _median_ms(run: Callable[[], object], times: int, clock: Clock) -> float:
    """Milliseconds of one of several runs; the first ones fill caches and do not count."""
    for _ in range(WARM_UP):
        run()
    spent = []
    for _ in range(times):
        start = clock()
        run()
        spent.append(clock() - start)
    return statistics.median(spent) * 1000
