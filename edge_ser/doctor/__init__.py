"""What `edge-ser doctor` does: say what works on this machine, what does not, and the mend.

`examine()` is the examination; its parts are `machine` (plain facts, imported from nowhere else),
`probes` (a script that tries one library, run in a process of its own so that a crash is a
finding), and one module of findings for each of system, runtimes and audio. Standard library only.
"""

from __future__ import annotations

from edge_ser.doctor.audio import audio_findings
from edge_ser.doctor.finding import Finding, has_problem, runtime_works
from edge_ser.doctor.machine import Machine, read_machine
from edge_ser.doctor.outcome import Outcome, Runner, run_probe
from edge_ser.doctor.runtimes import runtime_findings
from edge_ser.doctor.system import system_findings

__all__ = [
    "Finding",
    "Machine",
    "Outcome",
    "Runner",
    "examine",
    "has_problem",
    "read_machine",
    "run_probe",
    "runtime_works",
]


def examine(machine: Machine | None = None, run: Runner = run_probe) -> tuple[Finding, ...]:
    """Everything that was found, in the order system, runtimes, audio.

    Args:
        machine: facts to judge; those of this machine when left out.
        run: tries one probe in a process of its own and returns how that ended.
    """
    facts = machine or read_machine()
    return (
        *system_findings(facts),
        *runtime_findings(facts, run),
        *audio_findings(facts, run),
    )
