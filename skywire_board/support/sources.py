"""What the archive is made of: one table of programs and one of files. What does not stand here is not collected.

Programs are told to name no arguments of processes and no elements of sets, and nothing here holds a secret by design;
what slips in all the same is taken out by `redact`.
"""

from dataclasses import dataclass

LOG_LINES = 6000


@dataclass(frozen=True, slots=True)
class Told:
    """What a program says, as `name` in the archive."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a pattern (from the root), below `name`. `settings`: only their outline."""

    name: str
    pattern: str
    settings: bool = False


TOLD = (
    Told("system/kernel", ("uname", "-a")),
    Told("system/processes", ("ps", "-eo", "pid,ppid,user,rss,pcpu,etimes,comm", "--sort", "-rss")),
    Told("system/units", ("systemctl", "list-units", "--all", "--no-pager", "--plain")),
    Told("system/failed", ("systemctl", "status", "--failed", "--no-pager", "--lines=50")),
    Told("system/timers", ("systemctl", "list-timers", "--all", "--no-pager")),
    Told("system/space", ("df", "-h")),
    Told("system/time", ("timedatectl", "show-timesync", "--no-pager")),
    Told("boot/state", ("/usr/lib/skywire/bin/python3", "-I", "-m", "skywire_board.bootstate", "show", "--json")),
    Told("network/links", ("ip", "-details", "link")),
    Told("network/addresses", ("ip", "-brief", "address")),
    Told("network/routes", ("ip", "route", "show", "table", "all")),
    Told("network/routes6", ("ip", "-6", "route", "show", "table", "all")),
    Told("network/rules", ("ip", "-6", "rule")),
    Told("network/sockets", ("ss", "-tuln")),
    Told("network/nftables", ("nft", "--terse", "list", "ruleset")),
    Told("network/resolver", ("resolvectl", "status", "--no-pager")),
    Told("mesh/node", ("node", "status", "--json")),
    Told("mesh/links", ("node", "links", "--json")),
    Told("mesh/sessions", ("node", "sessions", "--json")),
    Told("mesh/routes", ("node", "routes", "--json")),
    Told("mesh/services", ("node", "services", "--json")),
    Told("mesh/manager", ("manager", "status", "--json")),
    Told("mesh/nodes", ("manager", "nodes", "--json")),
    Told("logs/journal", ("journalctl", "-b", "-n", str(LOG_LINES), "-o", "short-monotonic", "--no-hostname")),
)

FILES = (
    Files("system/os-release", "etc/os-release"),
    Files("system/version", "usr/lib/skywire/version"),
    Files("system/command-line", "proc/cmdline"),
    Files("system/memory", "proc/meminfo"),
    Files("system/load", "proc/loadavg"),
    Files("system/uptime", "proc/uptime"),
    Files("system/mounts", "proc/mounts"),
    Files("system/disks", "proc/diskstats"),
    Files("system/model", "proc/device-tree/model"),
    Files("boot/note", "run/skywire/boot.json"),
    Files("boot/data-fault", "run/skywire/data-fault"),
    Files("boot/setup-fault", "run/skywire/setup-fault"),
    Files("boot/check-of-the-card", "run/skywire/fsck.log"),
    Files("logs/apps", "run/skywire/out/*"),
    Files("logs/before", "data/log/*.log.gz"),
    Files("settings/etc", "etc/skywire/*.yaml", settings=True),
    Files("settings/boot", "boot/firmware/skywire.yaml", settings=True),
    Files("settings/joined", "data/mesh/joined/*.yaml", settings=True),
)

SECRET_FILES = (
    *("etc/wpa_supplicant/*.conf", "boot/firmware/skywire.yaml", "etc/skywire/*.yaml", "data/mesh/joined/*.yaml"),
)
"""Settings whose named values may be short secrets of people: read to be taken out, never packed."""
