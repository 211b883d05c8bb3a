"""The launcher's words. Frozen; nothing here touches a process or a file."""

from __future__ import annotations

import enum
from pathlib import Path

import msgspec

from viscript.errors import UsageError

FIRST_ID = 2
"""Ids count up from here, as the original's do; viscript itself is 1."""

MAX_ARGUMENTS = 64
MAX_ARGUMENT_BYTES = 4096
STOP_TIMEOUT_S = 5.0


class Restart(enum.Enum):
    """When an application that ended by itself is started again; one that was shut down never is."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class App(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A configured program. `path` is as written; `memory_max` is bytes, `cpu_weight` is systemd's 1 to
    10000; `user` None is the backend's choice; `after` names applications to be up before this one starts.
    `capabilities` and `writable`, paths that it may write to, are the image's to give and nobody else's.
    """

    name: str
    path: str
    default_args: tuple[str, ...] = ()
    daemon: bool = False
    desc: str = ""
    help: str = ""
    env: dict[str, str] = {}
    cwd: str | None = None
    memory_max: int | None = None
    cpu_weight: int | None = None
    stop_timeout_s: float = STOP_TIMEOUT_S
    user: str | None = None
    restart: Restart = Restart.NEVER
    autostart: bool = False
    after: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True):
    """What a configuration file says; `source` is the file, for messages, `image` what came with the machine."""

    apps: dict[str, App]
    run_headless: bool = True
    source: str = ""
    image: dict[str, App] = {}


class Launch(msgspec.Struct, frozen=True):
    """One start, settled: everything a backend needs to know."""

    id: int
    app: App
    args: tuple[str, ...]
    command: tuple[str, ...]
    env: dict[str, str]


class Process(msgspec.Struct, frozen=True):
    """A process that was started for an id. The start time (clock ticks since boot) tells a reused pid
    apart.
    """

    pid: int
    start_ticks: int


class Record(msgspec.Struct, frozen=True):
    """What the state file keeps of an application that runs or is to run again; without a process, the start was
    under way. `failures` counts the restarts in a row after runs that ended soon.
    """

    id: int
    app: str
    args: tuple[str, ...]
    command: tuple[str, ...]
    started_unix: float
    process: Process | None = None
    failures: int = 0


class Signal(enum.Enum):
    """How a backend is told to end an application: by asking, or without asking."""

    TERM = "TERM"
    KILL = "KILL"


class Way(enum.Enum):
    """Which of the three steps of a shutdown ended the application; called off if it was only to be restarted."""

    SIGNAL = "signal"
    SIGTERM = "SIGTERM"
    SIGKILL = "SIGKILL"
    CALLED_OFF = "called off"


class Stopped(msgspec.Struct, frozen=True):
    pid: int
    way: Way


class Usage(msgspec.Struct, frozen=True):
    """What the whole process tree of an application uses, as the kernel tells it. CPU is in seconds so far and
    percent of one core now; memory is in bytes. None where the kernel would not say.
    """

    pid: int
    cpu_percent: float
    cpu_s: float
    rss: int
    threads: int
    processes: int
    uptime_s: float
    pss: int | None = None
    open_files: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


class Ended(msgspec.Struct, frozen=True):
    """How an application's last run ended: exit code, minus the signal's number, or None when nobody knows."""

    id: int
    app: str
    code: int | None
    ended_unix: float
    last_lines: tuple[str, ...] = ()
    given_up: bool = False


class Output(msgspec.Struct, frozen=True):
    """A piece of what an application wrote. Offsets count bytes since its start; `start` is where `data` begins,
    which is later than asked for when the ring has let go of the older ones.
    """

    start: int
    data: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class LogPart(msgspec.Struct, frozen=True):
    """`next_offset` is what to ask from next; `ended` is set once the application is gone and this is all."""

    text: str
    next_offset: int
    ended: Ended | None = None


class Reloaded(msgspec.Struct, frozen=True):
    """Names of applications. A running one keeps its old settings until it is started again."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def resolve_path(app: App, prefix: Path) -> str:
    """The program's absolute path; a relative one is meant from the prefix viscript is installed in."""
    return str(prefix / app.path)


def check_arguments(args: tuple[str, ...]) -> None:
    """Raises UsageError for what no program can be given."""
    if len(args) > MAX_ARGUMENTS:
        raise UsageError(f"{len(args)} arguments given, at most {MAX_ARGUMENTS} are allowed")
    for arg in args:
        if "\0" in arg or len(arg.encode("utf-8", "surrogatepass")) > MAX_ARGUMENT_BYTES:
            raise UsageError(f"an argument holds NUL or is longer than {MAX_ARGUMENT_BYTES} bytes")
