"""What systemd is told about an application: its unit's name and the sandbox, as an argument list. Pure.

The sandbox is the same for every application; a configured program can ask for less memory or weight, never
for less of the walls. One of the machine's image can be given capabilities, and with them netlink, and paths
to write to. Nothing here is ever read by a shell, and systemd is told not to expand variables either.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from viscript.errors import UsageError
from viscript.launcher.config import NAME
from viscript.launcher.model import App, check_arguments, resolve_path
from viscript.signal.model import Address
from viscript.signal.settings import make_environment

MEMORY_MAX = 128 << 20
MAX_ID = 2**31 - 1
UNIT_GLOB = "skywire-app-*.service"
_UNIT = re.compile(r"skywire-app-(.+)-([0-9]+)\.service")
SLICE = "skywire-apps.slice"

SANDBOX = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0077",
    "TasksMax=64",
    "OOMScoreAdjust=200",
    "KillMode=control-group",
    "RemainAfterExit=yes",
)
"""A unit remains after its program's exit so that the exit code can be had; `CollectUnit` then ends it."""


def unit_name(app: str, app_id: int) -> str:
    """Raises UsageError for a name or id no unit may have."""
    if not NAME.fullmatch(app):
        raise UsageError(f"'{app[:80]}' is not an application's name")
    if not 1 <= app_id <= MAX_ID:
        raise UsageError(f"id {app_id} is out of range")
    return f"skywire-app-{app}-{app_id}.service"


def parse_unit_name(unit: str) -> tuple[str, int] | None:
    """The application's name and id; None for a unit that is not one of ours."""
    match = _UNIT.fullmatch(unit)
    return (match[1], int(match[2])) if match else None


class Streams(msgspec.Struct, frozen=True):
    """The file a program's output is appended to, and the pipe its input comes from, if it has any."""

    output: Path
    input: Path | None = None


def make_run_argv(
    app: App, app_id: int, args: tuple[str, ...], prefix: Path, address: Address, streams: Streams
) -> list[str]:
    """The `systemd-run` line that starts the application as a unit. Raises UsageError."""
    check_arguments(args)
    properties = [
        *SANDBOX,
        *_doors(app),
        *([f"User={app.user}"] if app.user else ["DynamicUser=yes", f"User=skyapp-{app_id}"]),
        f"StandardInput={f'file:{streams.input}' if streams.input else 'null'}",
        f"StandardOutput=append:{streams.output}",
        f"StandardError=append:{streams.output}",
        f"MemoryMax={app.memory_max or MEMORY_MAX}",
        f"TimeoutStopSec={app.stop_timeout_s:g}",
    ]
    if app.cpu_weight:
        properties.append(f"CPUWeight={app.cpu_weight}")
    if app.cwd:
        properties.append(f"WorkingDirectory={app.cwd}")
    variables = app.env | make_environment(address, app_id)
    return [
        "systemd-run",
        "--quiet",
        "--no-ask-password",
        "--service-type=exec",
        "--expand-environment=no",
        f"--unit={unit_name(app.name, app_id)}",
        f"--slice={SLICE}",
        f"--description=Skywire application {app.name} (ID {app_id})",
        *(f"--property={line}" for line in properties),
        *(f"--setenv={name}={value}" for name, value in sorted(variables.items())),
        "--",
        resolve_path(app, prefix),
        *args,
    ]


def _doors(app: App) -> list[str]:
    """In the sandbox: which the image alone can open further."""
    powers = " ".join(app.capabilities)
    families = "AF_UNIX AF_INET AF_INET6" + (" AF_NETLINK" if powers else "")
    return [
        f"CapabilityBoundingSet={powers}",
        f"RestrictAddressFamilies={families}",
        *([f"AmbientCapabilities={powers}"] if powers else []),
        *([f"ReadWritePaths={' '.join(app.writable)}"] if app.writable else []),
    ]
