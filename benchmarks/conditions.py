"""What a measurement was taken on, and where its record goes."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_ser import __version__
from edge_ser.bench.conditions import read_commit
from edge_ser.doctor.machine import read_machine

__all__ = ["ONE_THREAD", "RECORDS", "conditions", "one_line", "publish", "write_record"]

CHECKOUT = Path(__file__).resolve().parents[1]
RECORDS = CHECKOUT / "benchmarks" / "records"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of processes whose BLAS is to use one thread, as the command line sets it."""
VERSIONS = ("edge-ser", "numpy", "soxr", "soundfile", "sounddevice", "ai-edge-litert")


def conditions() -> dict[str, Any]:
    """Machine, versions, load at this moment and commit, as JSON values."""
    machine = read_machine()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": machine.board or machine.cpu or machine.kernel_machine,
        "cores": os.cpu_count(),
        "system": f"{machine.system} {machine.kernel_machine}, {machine.libc}",
        "python": ".".join(map(str, machine.python)),
        "load_before": round(os.getloadavg()[0], 2),
        "commit": read_commit() or "unknown",
        "versions": {
            "edge-ser": __version__,
            **{name: machine.packages[name] for name in VERSIONS if name in machine.packages},
        },
    }


def one_line(known: Mapping[str, Any]) -> str:
    """Conditions in a sentence for people."""
    return (
        f"{known['cpu']}, {known['cores']} cores, {known['system']}, Python {known['python']}, "
        f"load {known['load_before']} beforehand, edge-ser {known['versions']['edge-ser']} "
        f"({known['commit']}), {known['date']}"
    )


def publish(given: argparse.Namespace, record: Mapping[str, Any], title: str, text: str) -> None:
    """Print what was measured, and keep it where `--record` names a place.

    Args:
        given: `json` for every figure in place of the table, `record` for a name.
        record: with its `conditions`.
        title: of the page.
        text: the table.
    """
    print(json.dumps(record, indent=1) if given.json else text)
    if given.record:
        head = f"# {title}\n\n{one_line(record['conditions'])}"
        write_record(RECORDS, given.record, record, f"{head}\n\n{text}")


def write_record(folder: Path, name: str, record: Mapping[str, Any], page: str) -> None:
    """Keep what was measured: NAME.json with every figure, NAME.md for people."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(page.rstrip("\n") + "\n", encoding="utf-8")
