"""What a document says, as short texts with units: the same for terminal, Markdown and HTML."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_ser.bench.wording import (
    clean,
    figure,
    fold,
    large,
    milliseconds,
    number_of,
    percent,
    range_of,
    times,
)

__all__ = ["COLD_PARTS", "Fact", "facts", "headline", "status", "subtitle", "title"]

Document = Mapping[str, Any]

COLD_PARTS = {
    "process": "process",
    "import": "imports",
    "load": "model load",
    "first": "first clip",
}
"""What a cold start consists of, by the name of its field, in order."""


@dataclass(frozen=True)
class Fact:
    """One figure of a report."""

    name: str
    value: str
    """With its unit."""
    how: str
    """How it was measured, or what it consists of; may be empty."""


def title(document: Document) -> str:
    """The name of the model."""
    model = document["model"] or {}
    return clean(model.get("name") or (document["config"] or {}).get("model") or "no model")


def subtitle(document: Document) -> str:
    """What runs the model; whether its weights are untrained."""
    model = document["model"] or {}
    parts = [model.get("runtime"), model.get("provider")]
    if model.get("threads") is not None:
        parts.append(number_of(model["threads"], "thread"))
    if model.get("untrained"):
        parts.append("untrained weights: for times alone")
    return ", ".join(clean(part) for part in parts if part)


def headline(document: Document) -> list[str]:
    """First the machine: whether it is the published one that was named; then what to know."""
    conditions = document["conditions"] or {}
    machine, before = conditions.get("machine") or {}, conditions.get("before") or {}
    host = clean(machine.get("board") or machine.get("cpu") or "a machine of no known name")
    details = [host]
    if machine.get("cores"):
        details.append(number_of(machine["cores"], "core"))
    if machine.get("gpu") and (document["model"] or {}).get("provider") != "cpu":
        details.append(clean(machine["gpu"]))
    if before.get("load") is not None:
        details.append(f"load {before['load']:.2f} beforehand")
    lines = []
    published = document["published"]
    if published is not None:
        advice = [clean(line) for line in (published["advice"] or "").splitlines()]
        lines = [line[:1].upper() + line[1:] + "." for line in advice if line]
        if not published["host_is_device"] and not lines:
            lines = [f"This host is not the published {clean(published['title'])}."]
    return [*lines, f"Measured on {', '.join(details)}."]


def status(document: Document) -> tuple[str, str]:
    """A word (valid, invalid, incomplete) and the sentence that goes with it."""
    correctness = document["correctness"] or {}
    goldens = correctness.get("goldens") or {}
    if goldens.get("passed") is False:
        return "invalid", "The model computes something wrong here, so its speed means nothing."
    if not document["complete"]:
        return "incomplete", "The run was interrupted: what was measured until then."
    if not document["valid"]:
        return "invalid", "What was measured does not count; see the notes."
    return "valid", "Complete, and no check failed."


def facts(document: Document) -> list[Fact]:
    """One figure a line: those that were measured, and why energy was not."""
    parts = (_times, _start, _weight, _floor, _streaming, _energy, _correctness)
    return [fact for part in parts for fact in part(document)]


def _times(document: Document) -> Iterator[Fact]:
    stages = document["stages"]
    if stages:
        total = stages["total"]
        about = (
            f"; 95 % interval {range_of(total['p50_interval'])}" if total["p50_interval"] else ""
        )
        how = f"median of {number_of(total['n'], 'sample')}, from file to label, batch 1{about}"
        yield Fact("per clip", milliseconds(total["p50"]), how)
    if document["mean_per_wav_ms"] is not None:
        how = "total time over the number of clips, the papers' definition; all stages are in it"
        published = _published_range(document)
        how += f"; published: {published}, measured otherwise" if published else ""
        yield Fact("mean per wav", milliseconds(document["mean_per_wav_ms"]), how)
    if document["rtf"] is not None:
        how = "median time per clip over the median clip's length; below 1 is faster than speech"
        yield Fact("real-time factor", figure(document["rtf"]), how)
    if document["cpu_ms_per_clip"] is not None:
        how = "of this process, all threads"
        yield Fact("processor time", f"{milliseconds(document['cpu_ms_per_clip'])} per clip", how)


def _published_range(document: Document) -> str:
    published = document["published"]
    rows = (published or {}).get("rows", [])
    seconds = [r["seconds"] for r in rows if r["seconds"] is not None and r["kind"] != "prediction"]
    if not seconds:
        return ""
    low, high = (milliseconds(1000 * value) for value in (min(seconds), max(seconds)))
    span = low if low == high else f"{low} to {high}"
    return f"{span} on {clean(published['title'])}" if published else span


def _start(document: Document) -> Iterator[Fact]:
    cold = document["cold"]
    if cold is None:
        return
    found = cold["medians"] or {}
    total = found.get("total_s")
    if total is None:
        totals = [run["total_s"] for run in cold["runs"] if run["total_s"] is not None]
        if not totals:
            return
        total = statistics.median(totals)
    parts = [
        f"{shown} {milliseconds(1000 * found[f'{name}_s'])}"
        for name, shown in COLD_PARTS.items()
        if found.get(f"{name}_s") is not None
    ]
    count = len(cold["runs"])
    how = f"process start to first label, median of {count} fresh process{'es' * (count != 1)}"
    value = milliseconds(1000 * total)
    yield Fact("cold start", value, ": ".join(filter(None, (how, ", ".join(parts)))))


def _weight(document: Document) -> Iterator[Fact]:
    memory = document["memory"]
    if memory is not None and memory["rss_peak_mb"] is not None:
        parts = [
            f"{name.replace('_', ' ')} {figure(memory[f'rss_{name}_mb'])} MB"
            for name in ("before_import", "after_import", "after_load")
            if memory[f"rss_{name}_mb"] is not None
        ]
        how = ", ".join(("resident, peak of a fresh process", *parts))
        yield Fact("memory", f"{figure(memory['rss_peak_mb'])} MB", how)
    if memory is not None and memory["gpu_mb"] is not None:
        yield Fact("GPU memory", f"{figure(memory['gpu_mb'])} MB", "of a fresh process, from NVML")
    model = document["model"]
    if model is not None and model["size_bytes"] is not None:
        parts = [f"{model['parameters']:,} parameters"] if model["parameters"] else []
        if model["macs_total"]:
            layers = (model["macs_by_layer"] or {}).items()
            kinds = ", ".join(f"{clean(kind)} {large(count)}" for kind, count in layers)
            said = f"{large(model['macs_total'])} multiply-accumulates a clip"
            parts.append(f"{said}: {kinds}" if kinds else said)
        yield Fact("model file", f"{figure(model['size_bytes'] / 1e6)} MB", ", ".join(parts))


def _floor(document: Document) -> Iterator[Fact]:
    floor = document["floor"]
    if floor is not None and floor["ratio"] is not None:
        how = (
            f"median of the model stage over {milliseconds(floor['floor_ms'])}, what its multiply-"
            f"accumulates take at this core's matrix speed, {large(floor['macs_per_s'])} a second "
            "(numpy float32, in this run)"
        )
        yield Fact("arithmetic floor", times(floor["ratio"]), how)


def _streaming(document: Document) -> Iterator[Fact]:
    streaming = document["streaming"]
    if streaming is not None and streaming["cpu_ms_per_hop"] is not None:
        parts = []
        if streaming["hops"]:
            parts.append(f"mean of {number_of(streaming['hops'], 'hop')}")
        if streaming["hop_s"]:
            parts.append(f"a hop is {milliseconds(1000 * streaming['hop_s'])} of audio")
        if streaming["rtf"] is not None:
            parts.append(f"real-time factor {figure(streaming['rtf'])}")
        if streaming["headroom"] is not None:
            parts.append(f"headroom {fold(streaming['headroom'])} (a hop over its p90)")
        value = f"{milliseconds(streaming['cpu_ms_per_hop'])} per hop"
        yield Fact("listening", value, ", ".join(("processor time", *parts)))


def _energy(document: Document) -> Iterator[Fact]:
    energy = document["energy"]
    if energy is None:
        return
    if energy["measured"] and energy["joules_per_clip"] is not None:
        how = clean(energy["source"] or "")
        yield Fact("energy", f"{figure(energy['joules_per_clip'])} J per clip", how)
    else:
        yield Fact("energy", "not measured", clean(energy["why"] or ""))


def _correctness(document: Document) -> Iterator[Fact]:
    correctness = document["correctness"]
    if correctness is None:
        return
    goldens = correctness["goldens"]
    if goldens is not None and goldens["passed"] is not None:
        yield Fact(
            "goldens", "hold" if goldens["passed"] else "fail", clean(goldens["detail"] or "")
        )
    protocol = clean(correctness["protocol"] or "not measured")
    if correctness["accuracy"] is None:
        yield Fact("accuracy", "none", protocol)
        return
    uar = f", UAR {percent(correctness['uar'])}" if correctness["uar"] is not None else ""
    how = f"over {number_of(correctness['clips'] or 0, 'clip')}, {protocol}"
    yield Fact("accuracy", percent(correctness["accuracy"]) + uar, how)
