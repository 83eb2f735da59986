"""The systemd service: its unit with the right paths, put in place, taken away and looked at."""

from __future__ import annotations

from edge_ser.service.environment import Environment, running_environment
from edge_ser.service.manage import CONFIG, UNIT, Plan, install, make_plan, need_root, uninstall
from edge_ser.service.state import ServiceStatus, service_status
from edge_ser.service.systemd import Run, run_command
from edge_ser.service.unit import quoted, render

__all__ = [
    "CONFIG",
    "UNIT",
    "Environment",
    "Plan",
    "Run",
    "ServiceStatus",
    "install",
    "make_plan",
    "need_root",
    "quoted",
    "render",
    "run_command",
    "running_environment",
    "service_status",
    "uninstall",
]
