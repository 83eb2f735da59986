"""One benchmark from beginning to end: it fills a document part by part.

What takes long is last, and an interrupt at any moment leaves the parts that are there.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_ser.bench import floor
from edge_ser.bench.cold import cold
from edge_ser.bench.conditions import read_machine_conditions, read_state
from edge_ser.bench.correctness import goldens, labelled
from edge_ser.bench.document import new_document
from edge_ser.bench.energy import open_meters
from edge_ser.bench.macs import Macs, macs
from edge_ser.bench.options import BenchOptions
from edge_ser.bench.peers import Peer, run_peers
from edge_ser.bench.published import beside
from edge_ser.bench.run import Measured, endless, measure, warm_up
from edge_ser.bench.schema import STAGES
from edge_ser.bench.statistics import summarise, unpaired_ratio, validity
from edge_ser.bench.streaming import continuous, stream_cost
from edge_ser.bench.wording import number_of, without_folders
from edge_ser.bench.workload import Workload
from edge_ser.classifier import Classifier, load_model
from edge_ser.errors import EdgeSerError

__all__ = ["Plan", "Session"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """What is measured, and beside what."""

    model: Path
    workload: Workload
    provider: str = "cpu"
    threads: int = 1
    allow_untrained: bool = False
    device: str | None = None
    """A published machine, whose figures are set beside."""
    peers: tuple[Peer, ...] = ()
    meter: Path | None = None
    """CSV file of a power meter."""
    options: BenchOptions = field(default_factory=BenchOptions)
    command: tuple[str, ...] = ()


class Session:
    """A benchmark under way; `document` holds what is known so far and is always valid."""

    def __init__(self, plan: Plan, progress: Progress = lambda phase, done, total: None) -> None:
        self.plan = plan
        self._progress = progress
        self._measured = Measured()
        self._notes: list[str] = []
        self.document = new_document(plan.command, _config(plan))

    def run(self) -> None:
        """Measure everything; `document` is complete when this returns.

        Raises:
            EdgeSerError: the model cannot be opened or computes what it should not.
        """
        plan, document = self.plan, self.document
        document["conditions"] = {"machine": read_machine_conditions(), "before": read_state()}
        classifier = load_model(plan.model, plan.provider, plan.threads, plan.allow_untrained)
        counted = macs(plan.model)
        document["model"] = describe(classifier, plan, counted)
        document["workload"] = self._workload()
        if counted.uncounted:
            self._notes.append(
                f"multiply-accumulates of {', '.join(counted.uncounted)} are not in the count"
            )
        document["published"] = beside(
            plan.device, plan.workload.name, document["conditions"]["machine"], classifier.provider
        )
        self._progress("checking", 0, 1)
        document["correctness"] = {"goldens": goldens(plan.model, plan.provider, plan.threads)}
        self._time(classifier)
        parts: tuple[Callable[[], None], ...] = (
            lambda: self._weigh(counted),
            lambda: self._stream(classifier),
            self._start_cold,
            self._meet_peers,
        )
        for part in parts:
            try:
                part()
            except EdgeSerError as error:  # what was measured is worth having without it
                self._notes.append(f"a part is missing: {error}")
        document["conditions"]["after"] = read_state()
        document["complete"] = True

    def finish(self) -> None:
        """Draw what follows from the parts that are there; also after an interrupt."""
        document = self.document
        notes = list(self._notes)
        if self._measured.clips:
            self._summarise(notes)
        correctness = document["correctness"]
        if correctness is not None and not correctness["goldens"]["passed"]:
            notes.insert(0, f"invalid: {correctness['goldens']['detail']}")
        if not document["complete"]:
            notes.insert(0, "interrupted: what was measured until then")
        document["valid"] = bool(
            self._measured.clips and correctness and correctness["goldens"]["passed"]
        )
        document["validity"] = [without_folders(note) for note in notes]
        for peer in document["peers"]:
            peer["error"] = peer["error"] and without_folders(peer["error"])

    def _workload(self) -> dict[str, Any]:
        workload = self.plan.workload
        return {
            "name": workload.name,
            "kind": workload.kind,
            "clips": len(workload.items),
            "seconds_median": workload.seconds_median,
            "sha256": workload.sha256,
            "seed": self.plan.options.seed,
        }

    def _time(self, classifier: Classifier) -> None:
        options, document = self.plan.options, self.document
        clips = endless(self.plan.workload, options.seed)
        self._progress("warming up", 0, 1)
        document["warm_up"] = warm_up(classifier, clips, options)
        meters = open_meters(self.plan.meter, self.plan.provider)
        told = self._at("timing clips")

        def after_each(done: int, total: int) -> None:
            meters.tick()
            told(done, total)

        meters.start()
        try:
            measure(classifier, clips, options, self._measured, after_each)
        finally:
            document["energy"] = meters.stop(self._measured.clips)

    def _weigh(self, counted: Macs) -> None:
        """The least that the arithmetic could take on this core, right after the timing."""
        if self.plan.provider != "cpu":
            return
        self._progress("matrix speed", 0, 1)
        threads = self.document["conditions"]["machine"]["blas_threads"]
        if threads is None:
            self._notes.append("the floor may be of several cores: BLAS does not tell its threads")
        elif threads != 1:
            self._notes.append(f"the floor is that of {threads} BLAS threads, not of one core")
        speed = floor.matrix_speed()
        least = floor.floor_ms(counted.total, speed)
        ratio = unpaired_ratio(self._measured.samples_ms["model"], [least], self.plan.options.seed)
        self.document["floor"] = {
            "macs_per_s": speed,
            "floor_ms": least,
            "ratio": asdict(ratio),
        }

    def _stream(self, classifier: Classifier) -> None:
        options = self.plan.options
        if not options.stream_s:
            return
        samples = continuous(self.plan.workload, options.stream_s)
        self.document["streaming"] = stream_cost(
            classifier, samples, options.hop_s, self._at("listening")
        )

    def _start_cold(self) -> None:
        plan = self.plan
        if not plan.options.cold_starts:
            return
        found = cold(
            plan.model,
            plan.provider,
            plan.threads,
            plan.options.cold_starts,
            self._at("cold starts"),
        )
        self.document["memory"] = found.pop("memory")
        self.document["cold"] = found

    def _meet_peers(self) -> None:
        if self.plan.peers:
            self.document["peers"] = []
            run_peers(
                self.plan.peers,
                self.plan.workload,
                self.plan.options,
                self.document["peers"],
                self._at("peers in turn"),
            )

    def _at(self, phase: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress(phase, done, total)

    def _summarise(self, notes: list[str]) -> None:
        document, measured, plan = self.document, self._measured, self.plan
        samples = {s: measured.samples_ms[s][: measured.clips] for s in STAGES}
        summaries = {s: summarise(samples[s], plan.options.seed) for s in STAGES}
        total = samples["total"]
        document["samples_ms"] = {s: [round(v, 4) for v in samples[s]] for s in STAGES}
        document["stages"] = {stage: summary.to_dict() for stage, summary in summaries.items()}
        document["mean_per_wav_ms"] = statistics.fmean(total)
        document["rtf"] = summaries["total"].p50 / 1000 / plan.workload.seconds_median
        document["cpu_ms_per_clip"] = 1000 * measured.processor_s / measured.clips
        document["correctness"] |= labelled(measured.labels, plan.workload, plan.model)
        alone = plan.threads == 1 and plan.provider == "cpu"
        share = measured.processor_s / measured.wall_s if alone else None
        notes += validity(summaries["total"], share)
        if measured.clips < plan.options.runs and measured.wall_s >= plan.options.most_s:
            notes.append(
                f"timing ended after {measured.wall_s:.0f} s with {measured.clips} of "
                f"{plan.options.runs} clips: raise --seconds"
            )
        if plan.workload.skipped:
            name, reason = plan.workload.skipped[0]
            count = number_of(len(plan.workload.skipped), "clip")
            notes.append(f"{count} not used, the first {name}: {reason}")


def _config(plan: Plan) -> dict[str, Any]:
    return {
        "model": str(plan.model.name),
        "provider": plan.provider,
        "threads": plan.threads,
        "dataset": plan.workload.name,
        "device": plan.device,
        **asdict(plan.options),
    }


def describe(classifier: Classifier, plan: Plan, counted: Macs) -> dict[str, Any]:
    """What the document says of a model and of what runs it."""
    card, path = classifier.card, plan.model
    payload = path.read_bytes()
    frontend = json.dumps([asdict(spec) for spec in card.frontend], sort_keys=True)
    details = classifier.details
    return {
        "name": card.name,
        "file": path.name,
        "format": path.suffix.lstrip("."),
        "size_bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "frontend_sha256": hashlib.sha256(frontend.encode()).hexdigest(),
        "parameters": counted.parameters,
        "macs_total": counted.total,
        "macs_by_layer": dict(counted.by_layer),
        "untrained": card.provenance.state == "untrained",
        "runtime": details.get("runtime"),
        "runtime_version": details.get("version"),
        "provider": classifier.provider,
        "threads": details.get("threads", plan.threads),
        "clip_s": card.input.clip_samples / card.input.rate,
        "labels": len(card.labels),
    }
