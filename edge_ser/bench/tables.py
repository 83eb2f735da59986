"""The tables of a report: rows of short texts, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from edge_ser.bench.schema import STAGES
from edge_ser.bench.wording import clean, figure, fold, milliseconds, number_of, range_of, times

__all__ = [
    "PEERS_HEAD",
    "PUBLISHED_HEAD",
    "PUBLISHED_OTHERWISE",
    "STAGES_HEAD",
    "TOO_SMALL",
    "Row",
    "conditions",
    "peer_rows",
    "published_notes",
    "published_rows",
    "stage_rows",
    "stages_note",
]

Row = tuple[str, ...]
Document = Mapping[str, Any]

TOO_SMALL = "n too small"
STAGES_HEAD = ("stage", "n", "mean", "p50", "95 % interval of p50", "p90", "p99", "max", "drift")
PEERS_HEAD = ("peer", "what", "p50, ms", "ratio to ours", "same labels")
PUBLISHED_HEAD = ("published", "corpus", "what", "figure", "this run", "ratio")
PUBLISHED_OTHERWISE = (
    "Published figures were measured elsewhere and otherwise than this run: features are most "
    "likely not in them, and ours are from file to label. A ratio says how far apart two numbers "
    "are, not what made them so."
)


def stage_rows(document: Document) -> list[Row]:
    """The table of stages, in milliseconds, under `STAGES_HEAD`."""
    stages = document["stages"]
    return [_stage_row(name, stages[name]) for name in STAGES] if stages else []


def _stage_row(name: str, stage: Mapping[str, Any]) -> Row:
    return (
        name,
        f"{stage['n']:,}",
        figure(stage["mean"]),
        figure(stage["p50"]),
        range_of(stage["p50_interval"]),
        TOO_SMALL if stage["p90"] is None else figure(stage["p90"]),
        TOO_SMALL if stage["p99"] is None else figure(stage["p99"]),
        figure(stage["max"]),
        figure(stage["drift"]["value"]) if stage["drift"] else "",
    )


def stages_note(document: Document) -> str:
    """Unit and protocol of the table of stages."""
    workload = document["workload"] or {}
    said = ["Milliseconds per clip, batch 1, the next clip when the last has ended."]
    if workload.get("name"):
        kind = "synthetic speech" if workload["kind"] == "synthetic" else clean(workload["name"])
        clips = number_of(workload["clips"], "clip") if workload["clips"] else "clips"
        said.append(f"{clips} of {kind}, in an order from seed {workload['seed']}.")
    said.append("Drift: the last fifth's median over the first's.")
    if any(TOO_SMALL in row for row in stage_rows(document)):
        said.append("p90 takes 64 samples, p99 662.")
    return " ".join(said)


def peer_rows(document: Document) -> list[Row]:
    """The table of peers, under `PEERS_HEAD`; the ratio is the peer's time over ours."""
    return [_peer_row(peer) for peer in document["peers"]]


def _peer_row(peer: Mapping[str, Any]) -> Row:
    what = clean(peer["what"])
    if peer["error"]:
        what = f"{what}: {clean(peer['error'])}"
    agree = f"{peer['labels_agree']:,} of {peer['labels']:,}" if peer["labels"] else ""
    return (
        clean(peer["name"]),
        what,
        "" if peer["p50_ms"] is None else figure(peer["p50_ms"]),
        "" if peer["ratio"] is None else times(peer["ratio"]),
        agree,
    )


def published_rows(document: Document) -> list[Row]:
    """The published figures beside this run's, under `PUBLISHED_HEAD`."""
    published = document["published"]
    rows = published["rows"] if published else []
    models = {(row["paper"], row["model"]) for row in rows}
    several = {paper for paper, count in Counter(p for p, _ in models).items() if count > 1}
    found = (_published_row(document, row, row["paper"] in several) for row in rows)
    return [row for row in found if row]


def _published_row(document: Document, row: Mapping[str, Any], named: bool) -> Row | None:
    ours: float | None
    if row["seconds"] is not None:
        theirs, ours, show = 1000 * row["seconds"], document["mean_per_wav_ms"], milliseconds
    elif row["megabytes"] is not None:
        theirs, ours, show = row["megabytes"], _megabytes(document, row["what"] or ""), _mb
    else:
        return None
    paper = clean(row["paper"] or "") if row["kind"] != "prediction" else "edge-ser (predicted)"
    return (
        paper,
        clean(row["corpus"] or ""),
        clean(": ".join(filter(None, (row["model"] if named else "", row["what"])))),
        show(theirs),
        "" if ours is None else show(ours),
        fold(theirs / ours) if ours else "",
    )


def _megabytes(document: Document, what: str) -> float | None:
    """What this run has beside a published size: the file, or the GPU's memory."""
    if "memory" in what:
        gpu: float | None = (document["memory"] or {}).get("gpu_mb")
        return gpu
    size = (document["model"] or {}).get("size_bytes")
    return size / 1e6 if size else None


def _mb(value: float) -> str:
    return f"{figure(value)} MB"


def published_notes(document: Document) -> list[tuple[str, str]]:
    """(paper and figure, what is known of how it was measured), each once."""
    published = document["published"]
    if not published:
        return []
    rows = published["rows"]
    notes = {
        (f"{clean(row['paper'] or '')}: {clean(row['what'] or '')}", clean(row["note"] or ""))
        for row in rows
        if row["note"]
    }
    about = (
        [(clean(published["title"] or ""), clean(published["note"]))] if published["note"] else []
    )
    return about + sorted(notes)


def conditions(document: Document) -> list[tuple[str, str]]:
    """What it was measured on, name by name; what the machine does not tell is left out."""
    found = document["conditions"] or {}
    machine = found.get("machine") or {}
    model, workload = document["model"] or {}, document["workload"] or {}
    virtual = "virtual" if machine.get("virtual") else ""
    rows = [
        ("board", machine.get("board")),
        ("processor", _joined(machine.get("cpu"), _counted(machine.get("cores"), "core"), virtual)),
        ("GPU", machine.get("gpu")),
        ("system", _joined(machine.get("system"), machine.get("kernel"), _bits(machine))),
        ("Python", _joined(machine.get("python"), machine.get("libc"))),
        ("BLAS", _joined(machine.get("blas"), _counted(machine.get("blas_threads"), "thread"))),
        ("runtime", _joined(model.get("runtime"), model.get("runtime_version"))),
        ("provider", _joined(model.get("provider"), _counted(model.get("threads"), "thread"))),
        *_states(found.get("before") or {}, found.get("after") or {}),
        ("clips", _clips(workload)),
        ("warm-up", _warm_up(document["warm_up"])),
        ("model, SHA-256", (model.get("sha256") or "")[:16]),
        ("frontend, SHA-256", (model.get("frontend_sha256") or "")[:16]),
        ("clips, SHA-256", (workload.get("sha256") or "")[:16]),
        ("edge-ser", _joined(machine.get("version"), machine.get("commit"))),
        ("date", (document["created"] or "").replace("T", " ").replace("+00:00", " UTC")),
        ("command", " ".join(document["command"])),
    ]
    return [(name, clean(value)) for name, value in rows if value]


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)


def _counted(count: int | None, what: str) -> str:
    return "" if count is None else number_of(count, what)


def _bits(machine: Mapping[str, Any]) -> str:
    return f"{machine['bits']} bits" if machine.get("bits") else ""


def _states(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each that both or one of them tells, before and after."""
    shown = (
        ("load", "load", ""),
        ("governor", "governor", ""),
        ("frequency", "mhz", " MHz"),
        ("temperature", "celsius", " °C"),
        ("throttled", "throttled", ""),
        ("power", "power", ""),
    )
    for name, key, unit in shown:
        first, last = before.get(key), after.get(key)
        if first is None and last is None:
            continue
        texts = [_state(value, unit) for value in (first, last)]
        yield name, texts[0] if texts[0] == texts[1] else f"{texts[0]}, then {texts[1]}"


def _state(value: Any, unit: str) -> str:
    if value is None:
        return "not told"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "no"
    if isinstance(value, int | float):
        return (f"{value:.2f}" if not unit else figure(value)) + unit
    return str(value)


def _clips(workload: Mapping[str, Any]) -> str:
    length = workload.get("seconds_median")
    return _joined(
        workload.get("name"),
        workload.get("kind") if workload.get("kind") != workload.get("name") else "",
        _counted(workload.get("clips"), "clip"),
        f"median {figure(length)} s" if length else "",
        f"seed {workload['seed']}" if workload.get("seed") is not None else "",
    )


def _warm_up(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    steady = "steady" if found["steady"] else "not steady when it ended"
    return f"{number_of(found['clips'], 'clip')}, {found['seconds']:.1f} s, {steady}"
