"""`edge-ser service`: listening as a service of systemd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click

from edge_ser.cli.helping import HelpContext
from edge_ser.cli.options import debug_option
from edge_ser.cli.output import Record, output_options, rendered, write
from edge_ser.documents import printable
from edge_ser.errors import ExitCode, UsageError

__all__ = ["command"]


@click.group("service")
@debug_option
def command() -> None:
    """Listen as a service: from the start of the machine, for months, unattended.

    \b
    Examples:
      edge-ser service install
      edge-ser service status
      edge-ser service uninstall

    What each did or found goes to standard output. Exit status: 0 fine, 2 not root or not
    installed, 4 no systemd; when the service does not start, the status that it ended with.
    """


@command.command("install")
@click.option("--dry-run", is_flag=True, help="Print the unit, and change nothing.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- LISTEN_OPTIONS]")
@debug_option
def install(dry_run: bool, arguments: tuple[str, ...]) -> None:
    """Write the unit with the right paths, enable it and start it.

    \b
    Examples:
      edge-ser service install --dry-run
      sudo /opt/edge-ser/bin/edge-ser service install
      sudo /opt/edge-ser/bin/edge-ser service install -- --model emotion-emodb --mic "USB"

    What stands after -- goes to 'edge-ser listen' and wins over /etc/edge-ser.toml, which is
    written, commented, where there is none. Once more with other options replaces the unit.
    Each thing done, or with --dry-run the unit, goes to standard output.
    """
    from edge_ser import service

    environment = service.running_environment()
    if not dry_run:
        again = [*environment.program, "service", "install"]
        service.need_root([*again, "--", *arguments] if arguments else again)
    plan = service.make_plan(environment, arguments, _files_of(arguments))
    if dry_run:
        write([plan.unit], None)
        return
    for line in service.install(plan):
        click.echo(printable(line))
    click.echo("next: edge-ser service status, or journalctl -u edge-ser -f to see what it hears")
    click.echo(f"settings: {service.CONFIG}, then systemctl reload edge-ser")


def _files_of(arguments: tuple[str, ...]) -> list[str]:
    """Files that the configuration names, and the service must see.

    Raises UsageError now for options and settings that `listen` would refuse at each start.
    """
    import os

    from edge_ser import service
    from edge_ser.cli import listen
    from edge_ser.config import load_config, overrides_from_flags

    context = listen.command.make_context("edge-ser listen", list(arguments))
    flags = dict(context.params)
    config, assignments = flags.pop("config"), flags.pop("assignments")
    if flags.pop("print_config"):
        raise UsageError("--print-config: a service is to listen, not to end: leave it out")
    path = config or (service.CONFIG if os.path.exists(service.CONFIG) else None)
    loaded = load_config(path, {}, overrides_from_flags(assignments, **flags))
    if loaded.source.input == "-":
        raise UsageError(
            "source.input is -: a service has no standard input: name a microphone or a FIFO"
        )
    named = (loaded.model.name or "", loaded.model.profile or "")
    return [path for path in named if os.path.isabs(path) and os.path.isfile(path)]


@command.command("uninstall")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and change nothing.")
@debug_option
def uninstall(dry_run: bool) -> None:
    """Stop the service and remove its unit; settings and what it recorded stay.

    \b
    Example:
      sudo /opt/edge-ser/bin/edge-ser service uninstall

    Each thing done goes to standard output.
    """
    from edge_ser import service

    if dry_run:
        click.echo(f"would stop and disable edge-ser, and remove {service.UNIT}")
        return
    service.need_root([*service.running_environment().program, "service", "uninstall"])
    for line in service.uninstall():
        click.echo(printable(line))


@command.command("status")
@click.option(
    "--lines", "-n", type=click.IntRange(0, 1000), default=10, show_default=True, help="Of the log."
)
@output_options
@debug_option
def status(lines: int, format_: str, output: str | None) -> None:
    """Say whether the service runs, since when, how often it was restarted, and its last lines.

    \b
    Examples:
      edge-ser service status
      edge-ser service status --format json

    Goes to standard output, or to FILE with -o. Exit status: 0 it runs, 1 it does not.
    """
    from edge_ser import service

    found = asdict(service.service_status(lines))
    write(rendered([found], format_, fields=list(found), table=_table), output)
    if not found["active"]:
        click.get_current_context().exit(ExitCode.SOME_FAILED)


def _table(records: Iterable[Record]) -> Iterator[str]:
    for record in records:
        yield f"edge-ser   {record['state']}{', ' if record['said'] else ''}{record['said']}"
        if record["since"]:
            yield f"since      {record['since']}"
        yield f"at boot    {'starts' if record['enabled'] else 'does not start (systemctl enable)'}"
        yield f"restarts   {record['restarts']}"
        if record["result"] != "success":
            yield f"last end   {record['result']}, exit status {record['exit_status']}"
        if record["memory_mb"] is not None:
            yield f"memory     {record['memory_mb']:.0f} MB"
        lines = record["lines"]
        assert isinstance(lines, (list, tuple))
        yield "" if lines else "log        nothing that this user may read: try with sudo"
        yield from map(printable, lines)


for _sub in command.commands.values():
    _sub.context_class = HelpContext
