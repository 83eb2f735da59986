"""Runs as root within the booted machine: uses the service as its owner would, and reports.

Everything that is seen goes into one JSON file, step by step; the judging is done outside. A step
that goes wrong ends the run, and is reported too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUT = Path("/mnt/out")
UNIT = "edge-ser.service"
PLAIN = "/opt/edge-ser/bin/edge-ser"
AT_HOME = "/home/maker/my 100% env/bin/edge-ser"
PROPERTIES = "ActiveState,SubState,Result,NRestarts,MainPID,StatusText,ExecMainStatus"
PATIENCE_S = 30.0
"""Seconds after which a wait is given up: only hanging takes that long."""

report: dict[str, Any] = {}


def run(*command: str) -> dict[str, Any]:
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return {"status": ended.returncode, "out": ended.stdout, "err": ended.stderr}


def show() -> dict[str, str]:
    text = run("systemctl", "show", UNIT, f"--property={PROPERTIES}")["out"]
    return dict(line.split("=", 1) for line in text.splitlines())


def journal() -> list[dict[str, Any]]:
    run("journalctl", "--sync")
    text = run("journalctl", f"--unit={UNIT}", "--output=json", "--no-pager", "--all")["out"]
    return [json.loads(line) for line in text.splitlines()]


def events() -> list[dict[str, Any]]:
    found = []
    for entry in journal():
        message = str(entry.get("MESSAGE", ""))
        if message.startswith('{"sequence"'):
            found.append({**json.loads(message), "pid": entry["_PID"]})
    return found


def said() -> list[tuple[str, str]]:
    return [(str(entry.get("MESSAGE")), entry["_PID"]) for entry in journal()]


def wait(what: str, until: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := until():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"waited {PATIENCE_S} s in vain for {what}: {show()}")


def active(restarts: int) -> dict[str, str] | None:
    now = show()
    return now if now["ActiveState"] == "active" and now["NRestarts"] == str(restarts) else None


def heard(pid: str) -> list[dict[str, Any]]:
    return [event for event in events() if event["pid"] == pid]


def confinement(pid: str) -> dict[str, Any]:
    """What the kernel lets the process do."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    network = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    inside = f"/proc/{pid}/root"
    return {
        "uid": status["Uid"].split()[0],
        "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "seccomp": status["Seccomp"].strip(),
        "interfaces": [line.split(":")[0].strip() for line in network],
        "root_is_read_only": any(re.search(r" / / ro[ ,]", line) for line in mounts),
        "root_home": os.listdir(f"{inside}/root"),
        "home": os.listdir(f"{inside}/home"),
        "state_owner": os.stat("/var/lib/edge-ser/").st_uid,
        "variables": sorted(pair.split(b"=")[0].decode() for pair in environ if pair),
    }


def start_and_hear() -> str:
    report["install"] = run(PLAIN, "service", "install", "--", "--format", "jsonl")
    report["started"] = show()
    pid = report["started"]["MainPID"]
    wait("an event", lambda: heard(pid))
    report["confined"] = confinement(pid)
    return pid


def kill_it(pid: str) -> str:
    os.kill(int(pid), signal.SIGKILL)
    report["killed"] = wait("a restart after SIGKILL", lambda: active(1))
    pid = report["killed"]["MainPID"]
    wait("an event after SIGKILL", lambda: heard(pid))
    return pid


def hang_it(pid: str) -> str:
    os.kill(int(pid), signal.SIGSTOP)
    report["hung"] = wait("a restart by the watchdog", lambda: active(2))
    return str(report["hung"]["MainPID"])


def change_it() -> None:
    pid = show()["MainPID"]
    report["reload"] = run("systemctl", "reload", UNIT)
    wait("the reload", lambda: ("reloaded", pid) in said())
    report["reloaded"] = show()
    report["status"] = run(PLAIN, "service", "status", "--lines", "3")
    report["stop"] = run("systemctl", "stop", UNIT)
    report["stopped"] = show()
    report["status_stopped"] = run(PLAIN, "service", "status", "--format", "json")


def from_a_home() -> None:
    Path("/etc/edge-ser.toml").write_text("# changed by its owner\n")
    report["install_home"] = run(AT_HOME, "service", "install", "--", "--format", "jsonl")
    report["unit_home"] = Path("/etc/systemd/system/edge-ser.service").read_text()
    report["started_home"] = show()
    pid = report["started_home"]["MainPID"]
    report["program_home"] = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    report["confined_home"] = confinement(pid)
    wait("an event", lambda: heard(pid))


def break_it() -> None:
    report["install_broken"] = run(PLAIN, "service", "install", "--", "--model", "/no/such.tflite")
    report["broken"] = show()
    Path("/etc/edge-ser.toml").write_text("[source]\nmicrophone = 1\n")
    report["install_misspelt"] = run(PLAIN, "service", "install")
    Path("/etc/edge-ser.toml").write_text("# changed by its owner\n")


def remove_it() -> None:
    report["uninstall"] = run(PLAIN, "service", "uninstall")
    report["load_state"] = run("systemctl", "show", UNIT, "--property=LoadState")["out"].strip()
    report["config_left"] = Path("/etc/edge-ser.toml").read_text()
    report["again"] = run(PLAIN, "service", "uninstall")


def odd_words() -> None:
    """A unit whose words were quoted by us, run by the real systemd: prepared outside."""
    run("systemctl", "start", "odd-words.service")
    report["odd_words"] = json.loads(Path("/run/odd-words.json").read_text())


def limits() -> None:
    """What a program can do that is confined as the service is: prepared outside, too."""
    group = Path("/run/for-the-group-audio")
    group.write_text("heard")
    shutil.chown(group, "root", "audio")
    group.chmod(0o640)
    report["limits_run"] = run("systemctl", "start", "limits.service")
    report["limits"] = json.loads(Path("/var/lib/edge-ser/limits.json").read_text())


def main() -> None:
    try:
        pid = start_and_hear()
        pid = kill_it(pid)
        hang_it(pid)
        change_it()
        from_a_home()
        report["events"] = events()
        break_it()
        remove_it()
        odd_words()
        limits()
    except Exception:  # noqa: BLE001  # whatever it was, it is told outside
        report["failure"] = traceback.format_exc()
    report["journal"] = [
        f"{entry.get('SYSLOG_IDENTIFIER')}[{entry.get('_PID')}]: {entry.get('MESSAGE')}"
        for entry in journal()
    ]
    part = OUT / "report.part"
    part.write_text(json.dumps(report, indent=1))
    part.rename(OUT / "report.json")
    run("systemctl", "poweroff", "--force")


if __name__ == "__main__":
    main()
