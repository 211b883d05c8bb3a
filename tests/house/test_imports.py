"""Who may import whom, one door for each outside thing, who may speak, and names that say nothing."""

import re
from pathlib import PurePosixPath

import pytest

from tests.house.modules import Import, calls, find_cycle, read_imports
from tests.house.tree import PRODUCT, ROOT, Texts, product_texts, told, tracked

MAY_IMPORT = {
    "services": ("viscript.signal", "viscript.notify", "viscript.durable"),
    "skywire_board": ("viscript.durable",),
}
"""Package → what it may import of the others. Who is not named imports none of them."""

MAY_IMPORT_LATE = {
    "services/": (
        "skywire_board.api_words",
        "skywire_board.client",
        "skywire_board.logins",
        "skywire_board.update.words",
    ),
    "viscript/shell/": (
        "skywire_board.api_words",
        "skywire_board.client",
        "skywire_board.errors",
        "skywire_board.support.client",
        "skywire_board.support.words",
        "services.identity.client",
        "services.identity.errors",
        "services.identity.words",
        "services.manager.api_words",
        "services.manager.client",
        "services.manager.errors",
        "services.manager.places",
        "services.messenger.api_words",
        "services.messenger.chat",
        "services.messenger.errors",
        "services.messenger.line",
        "services.messenger.saving",
        "services.messenger.sending",
        "services.messenger.told",
        "services.pairing.api_words",
        "services.pairing.client",
        "services.pairing.errors",
        "services.node.api_words",
        "services.node.errors",
        "services.node.line",
        "services.updates.api_words",
        "services.updates.bundle",
        "services.updates.model",
        "services.updates.sending",
        "services.updates.tables",
        "skywire_board.update.client",
        "skywire_board.update.words",
    ),
}
"""Folder → what its modules may import inside functions: the blocking clients of services that the shell has commands
for, and how those tell what they answer. Never when loaded: a shell without services is as fast as before.
"""

DOORS = {
    "gpiod": ("skywire_board/pins/",),
    "gpiozero": ("skywire_board/pins/", "skywire_board/outputs/", "skywire_board/inputs/"),
    "mnemonic": ("services/words.py", "skywire_board/support/redact.py"),  # the latter knows words by their list alone
    "nacl": ("services/keys.py", "services/messenger/crypto.py", "services/pairing/crypto.py"),
    "nats": ("services/manager/bucket.py", "services/manager/bus.py"),
    "pyroute2": ("services/kernel/pyroute.py",),
    "prompt_toolkit": ("services/messenger/chat.py", "viscript/shell/"),
    "rich": ("viscript/shell/tables.py",),
    "segno": ("services/manager/qr.py",),
    "zeroconf": ("services/pairing/nearby.py",),
    "psutil": ("viscript/launcher/process/procfs.py",),
    "subprocess": (
        "image/emulator/board.py",  # QEMU, which runs beside us
        "image/emulator/lan.py",  # the DHCP server of the switch, likewise
        "image/run.py",  # the build's programs, which run to their end
        "services/kernel/wireguard_go.py",  # wireguard-go, which outlives us
        "skywire_board/support/collect.py",  # what tells of the board's state
        "skywire_board/claim/pinning.py",  # the script that puts keys together
        "skywire_board/setup/programs.py",  # node, which restores an identity; systemctl
        "viscript/launcher/process/group.py",  # applications that shall outlive us
        "viscript/launcher/starter/systemd.py",  # systemd-run and systemctl
        "viscript/shell/away.py",  # the daemon, where a person agrees to start it
    ),
}
"""Outside thing → the folders (with a slash at the end) and files that may import it."""

STARTS_A_PROCESS = re.compile(
    r"(asyncio\.|loop\.)?(create_subprocess_\w+|subprocess_(exec|shell))|os\.(system|popen|fork|exec\w+|\w*spawn\w*)"
)
STARTERS = (
    "services/manager/nats_server.py",
    "services/vpn/client/portal.py",  # the one program that may pass the kill switch
    "services/vpn/client/resolver.py",  # systemctl, where systemd-resolved is told by a file
    "skywire_board/claim/__main__.py",  # the login's own shell, once its key is pinned
    "skywire_board/outputs/units.py",
    "skywire_board/update/rauc.py",
    "skywire_board/update/server.py",  # systemctl reboot
)
"""Who may start processes without `subprocess`."""

SPEAKS = {"print", "sys.exit", "exit", "quit", "os._exit", "raise SystemExit"}

SPEAKERS = ("viscript/shell/", "viscript/headless_options.py")
"""Who may print and end the process, besides `__main__` and the modules of commands."""

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
NAMED_ALL_THE_SAME = {"image/steps/base.py"}  # the base of a root file system, a noun of the field


# packages


def strangers(imports: list[Import]) -> list[str]:
    """Imports from one of our packages into another that may not be."""
    return [
        str(found)
        for found in imports
        if found.is_of(*PRODUCT) and not found.is_of(*may_import(found.path, late=not found.runs_at_load))
    ]


def may_import(path: str, *, late: bool) -> tuple[str, ...]:
    own = package_of(path)
    there = [modules for folder, modules in MAY_IMPORT_LATE.items() if late and is_at(path, folder)]
    return (own, *MAY_IMPORT.get(own, ()), *(module for modules in there for module in modules))


def package_of(path: str) -> str:
    return PurePosixPath(path).parts[0]


def test_packages_keep_to_themselves() -> None:
    wrong = strangers(read_imports(product_texts()))
    assert not wrong, told(wrong, "packages meet on the wire, in files and as processes, not by import")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("viscript/a.py", "import skywire_board.model"),
        ("viscript/a.py", "from services.apptracker import wire"),
        ("viscript/a.py", "def f():\n    from services.messenger.line import ask_once"),
        ("viscript/shell/a.py", "from services.messenger.line import ask_once"),
        ("viscript/shell/a.py", "def f():\n    from services.messenger.store import Store"),
        ("skywire_board/a.py", "def f():\n    from viscript.api import client"),
        ("services/a.py", "from viscript import api"),
        ("services/a.py", "import viscript.signalling"),
        ("image/a.py", "from skywire_board.boards import Board"),
    ],
)
def test_a_stranger_is_seen(path: str, line: str) -> None:
    assert len(strangers(read_imports({path: line}))) == 1


def test_allowed_imports_are_allowed() -> None:
    texts = {"services/a.py": "from viscript.signal.model import Address\nfrom services.b import c\nimport asyncio"}
    assert strangers(read_imports(texts)) == []
    texts = {"viscript/shell/commands/a.py": "def f():\n    from services.messenger.line import ask_once"}
    assert strangers(read_imports(texts)) == []


# cycles


@pytest.mark.parametrize("package", PRODUCT)
def test_no_cycles(package: str) -> None:
    cycle = find_cycle({path: text for path, text in product_texts().items() if package_of(path) == package})
    assert not cycle, told([" → ".join(cycle)], "move what both need to the module nearer to `model`")


def test_a_cycle_is_seen() -> None:
    texts = {"p/__init__.py": "", "p/a.py": "from p import b", "p/b.py": "from .c import x", "p/c.py": "import p.a"}
    assert set(find_cycle(texts)) == {"p.a", "p.b", "p.c"}
    for later in (
        "def f():\n    import p.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.a",
    ):
        assert find_cycle({**texts, "p/c.py": later}) == []


# doors


def beside_the_door(imports: list[Import]) -> list[str]:
    return [
        f"{found} (may: {', '.join(places)})"
        for thing, places in DOORS.items()
        for found in imports
        if found.is_of(thing) and not any(is_at(found.path, place) for place in places)
    ]


def is_at(path: str, place: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place


def unused_doors(imports: list[Import], doors: dict[str, tuple[str, ...]]) -> list[str]:
    return [
        f"{place}: imports no {thing}"
        for thing, places in doors.items()
        for place in places
        if not place.endswith("/") and not any(found.is_of(thing) and found.path == place for found in imports)
    ]


def test_one_door_for_each_outside_thing() -> None:
    wrong = beside_the_door(read_imports(product_texts()))
    assert not wrong, told(wrong, "call the door; a new door is named in DOORS, with its reason")


def test_no_door_is_named_in_vain() -> None:
    files = {ROOT / place for places in DOORS.values() for place in places if (ROOT / place).is_file()}
    texts = {str(file.relative_to(ROOT)): file.read_text() for file in files}
    wrong = unused_doors(read_imports(texts), DOORS)
    assert not wrong, told(wrong, "take it out of DOORS")


def test_another_door_is_seen() -> None:
    imports = read_imports({"viscript/api/a.py": "import psutil\nfrom subprocess import run\nimport gpiozero.pins"})
    assert len(beside_the_door(imports)) == 3
    assert unused_doors(imports, {"psutil": ("viscript/api/b.py",)}) == ["viscript/api/b.py: imports no psutil"]


def starting(texts: Texts) -> list[str]:
    return [
        f"{path}:{line}: {what}"
        for path, text in texts.items()
        if path not in STARTERS
        for line, what in calls(text)
        if STARTS_A_PROCESS.fullmatch(what)
    ]


def test_processes_start_behind_doors() -> None:
    wrong = starting(product_texts())
    assert not wrong, told(wrong, "call the door; a new door is named in STARTERS")


def test_another_start_is_seen() -> None:
    lines = [
        "asyncio.create_subprocess_exec('a')",
        "os.execvp('a', [])",
        "os.system('a')",
        "os.posix_spawn('a', [], {})",
    ]
    assert len(starting({"viscript/a.py": "\n".join([*lines, "os.open('a', 0)", "spawn()"])})) == len(lines)


# speaking


def wrong_speakers(texts: Texts) -> list[str]:
    return [
        f"{path}:{line}: {what}"
        for path, text in texts.items()
        if not may_speak(path)
        for line, what in calls(text)
        if what in SPEAKS
    ]


def may_speak(path: str) -> bool:
    where = PurePosixPath(path)
    return where.name in {"__main__.py", "commands.py"} or any(is_at(path, place) for place in SPEAKERS)


def test_only_the_edge_speaks() -> None:
    wrong = wrong_speakers(product_texts())
    assert not wrong, told(wrong, "return a value or raise the package's error; __main__ and the shell tell it")


@pytest.mark.parametrize("line", ["print(1)", "sys.exit(1)", "raise SystemExit", "raise SystemExit('no')", "exit()"])
def test_a_speaker_is_seen(line: str) -> None:
    assert len(wrong_speakers({"viscript/api/a.py": line})) == 1
    assert wrong_speakers({"viscript/__main__.py": line, "viscript/shell/a.py": line}) == []


# names


def empty_names(paths: list[str]) -> list[str]:
    return [
        path
        for path in paths
        if path not in NAMED_ALL_THE_SAME and EMPTY_NAMES & set(PurePosixPath(path).with_suffix("").parts)
    ]


def test_names_say_something() -> None:
    wrong = empty_names([path for path in tracked() if not path.startswith("rootfs_overlay/")])
    assert not wrong, told(wrong, "name it after what lives there")


def test_an_empty_name_is_seen() -> None:
    paths = ["viscript/utils.py", "tests/helpers/a.py", "image/base.py", "image/steps/base.py", "a/baseline.py"]
    assert empty_names(paths) == paths[:3]
