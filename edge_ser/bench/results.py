"""Recorded documents side by side: the tables of `benchmarks/README.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_ser.bench.document import read_document
from edge_ser.bench.facts import status
from edge_ser.bench.schema import STAGES
from edge_ser.bench.tables import TOO_SMALL
from edge_ser.bench.wording import clean, figure, milliseconds, range_of, times
from edge_ser.errors import DataError
from edge_ser.evaluation.report import markdown_table

__all__ = ["BEGIN", "END", "inserted", "read_results", "tables"]

BEGIN = "<!-- results: python benchmarks/results_table.py -->"
END = "<!-- end of results -->"
NONE = "No results are recorded yet."

Document = Mapping[str, Any]


def read_results(folder: Path) -> dict[str, Document]:
    """The documents of a folder by their name, sorted; none where there is no folder.

    Raises:
        UsageError, DataError: one of them cannot be read; see `read_document`.
    """
    return {path.stem: read_document(path) for path in sorted(folder.glob("*.json"))}


def tables(results: Mapping[str, Document]) -> str:
    """Markdown: totals, stages and peers of every result, a row each."""
    if not results:
        return NONE
    parts = [
        "Per clip, batch 1, from file to label; intervals are 95 %.",
        _table(("result", "machine", "runs as", "clips", "p50", "p90", "mean per wav", "RTF",
                "cold start", "peak memory", "to the floor"), results, _totals),
        "Median of each stage, ms per clip:",
        _table(("result", *STAGES), results, _stages),
    ]  # fmt: skip
    if any(document["peers"] for document in results.values()):
        names = dict.fromkeys(
            clean(peer["name"])
            for document in results.values()
            for peer in document["peers"]
            if peer["ratio"] is not None
        )
        parts.append("Time of each peer over that of edge-ser, clip by clip in the same run:")
        rows = ((name, *_ratios(document, names)) for name, document in results.items())
        parts.append(markdown_table(("result", *names), rows))
    return "\n\n".join(parts)


def inserted(page: str, between: str) -> str:
    """The page with `between` in the place of what stands between `BEGIN` and `END`.

    Raises:
        DataError: the page does not have each of them once, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise DataError(
            f"the page lacks its place, expected lines {BEGIN} and {END} once: add them"
        )
    return f"{before}{BEGIN}\n\n{between}\n\n{END}{after}"


def _table(head: tuple[str, ...], results: Mapping[str, Document], row: Any) -> str:
    rows = ((name, *row(document)) for name, document in results.items())
    return markdown_table(head, rows)


def _totals(document: Document) -> Iterable[str]:
    machine = (document["conditions"] or {}).get("machine") or {}
    workload = document["workload"] or {}
    total = (document["stages"] or {}).get("total")
    medians = (document["cold"] or {}).get("medians") or {}
    memory, floor = document["memory"] or {}, document["floor"]
    word, _ = status(document)
    yield clean(machine.get("board") or machine.get("cpu") or "not told")
    yield _runs_as(document["model"] or {}) + ("" if word == "valid" else f" ({word})")
    yield clean(f"{workload.get('name') or ''} {workload.get('clips') or ''}")
    yield _with_interval(total["p50"], total["p50_interval"]) if total else ""
    yield _p90(total) if total else ""
    yield milliseconds(document["mean_per_wav_ms"]) if document["mean_per_wav_ms"] else ""
    yield figure(document["rtf"]) if document["rtf"] is not None else ""
    cold = medians.get("total_s")
    yield milliseconds(1000 * cold) if cold is not None else ""
    peak = memory.get("rss_peak_mb")
    yield f"{figure(peak)} MB" if peak is not None else ""
    yield times(floor["ratio"]) if floor and floor["ratio"] else ""


def _runs_as(model: Document) -> str:
    parts = [model.get("name"), model.get("runtime"), model.get("provider")]
    if model.get("threads") is not None:
        parts.append(f"{model['threads']} thr.")
    if model.get("untrained"):
        parts.append("untrained")
    return clean(", ".join(part for part in parts if part))


def _with_interval(value: float, interval: list[float] | None) -> str:
    return milliseconds(value) + (f" ({range_of(interval)})" if interval else "")


def _p90(total: Document) -> str:
    if total["p90"] is None:
        return TOO_SMALL
    return _with_interval(total["p90"], total["p90_interval"])


def _stages(document: Document) -> Iterable[str]:
    found = document["stages"]
    return (figure(found[stage]["p50"]) if found else "" for stage in STAGES)


def _ratios(document: Document, names: Iterable[str]) -> Iterable[str]:
    known = {clean(peer["name"]): peer["ratio"] for peer in document["peers"]}
    return (times(known[name]) if known.get(name) else "" for name in names)
