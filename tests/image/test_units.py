"""The services that the image ships: each is listed, behind walls, and has a ceiling; so have the applications that
viscript starts, with the very properties that they get on a board.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.image.inventory import Inventory, read_inventory
from viscript.launcher.config import load_config
from viscript.launcher.starter.argv import Streams, make_run_argv
from viscript.signal.model import Address

OVERLAY = Path(__file__).parents[2] / "rootfs_overlay"
UNITS = OVERLAY / "usr/lib/systemd/system"
MOST_EXPOSED = 3.0
PROGRAM = shutil.which("systemd-analyze")
FOREVER = {"simple", "exec", "notify", "notify-reload", "dbus", "forking"}


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return read_inventory()


def our_units() -> list[str]:
    return sorted(path.name for path in UNITS.glob("*.service") if path.is_file() and not path.is_symlink())


def service_section(name: str) -> dict[str, str]:
    """What a unit and its drop-in say of the service; of a key that stands twice, the last."""
    settings: dict[str, str] = {}
    for path in (UNITS / name, UNITS / f"{name}.d/skywire.conf"):
        if path.is_file():
            parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
            parser.optionxform = str  # type: ignore[assignment, method-assign]
            parser.read_string(re.sub(r"\\\n\s*", " ", path.read_text()))
            settings |= dict(parser["Service"]) if parser.has_section("Service") else {}
    return settings


def unit_section(name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(re.sub(r"\\\n\s*", " ", (UNITS / name).read_text()))
    return dict(parser["Unit"])


def application_units() -> dict[str, str]:
    """Unit name → text, for every application of the image as viscript's starter has systemd run it."""
    config = load_config(OVERLAY / "etc/skywire/config.yaml", OVERLAY / "usr/lib/skywire/apps.yaml")
    where = Address("127.0.0.1", 7999), Streams(Path("/run/skywire/out/2"))
    units = {}
    for number, (name, app) in enumerate(sorted((config.image | config.apps).items()), 2):
        argv = make_run_argv(app, number, (), Path("/usr/lib/skywire"), *where)
        properties = [word.removeprefix("--property=") for word in argv if word.startswith("--property=")]
        units[f"skywire-app-{name}-{number}.service"] = "\n".join(["[Service]", "ExecStart=/bin/true", *properties, ""])
    return units


LOGGED = (
    "rauc-nbd-Message: 22:19:59.844: nbd server received configuration: {'url': <'http://10.0.2.2:1/board.raucb'>, "
    "'info-headers': <@as []>, 'headers': <['Authorization: Basic Ym9iOmh1c2g0NzExcHc=']>}"
)
"""As RAUC 1.13 says it; the same with 'sending config request to nbd server'."""


def test_rauc_s_log_keeps_no_login() -> None:
    pattern = service_section("rauc.service")["LogFilterPatterns"]
    assert pattern.startswith("~"), "what matches is not kept"
    assert re.search(pattern[1:], LOGGED)
    assert not re.search(pattern[1:], LOGGED.replace("'Authorization: Basic Ym9iOmh1c2g0NzExcHc='", ""))


def test_every_unit_is_on_the_list(inventory: Inventory) -> None:
    found = our_units()
    new, gone = sorted(set(found) - set(inventory.units)), sorted(set(inventory.units) - set(found))
    assert not new, (
        f"new services: {new} (see to their walls and ceilings, then add them to tests/image/inventory.yaml)"
    )
    assert not gone, f"services that are no more: {gone} (take them from tests/image/inventory.yaml)"


@pytest.mark.skipif(PROGRAM is None, reason="no systemd-analyze here; tests/boot/security_rows.py asks the board's")
def test_no_service_is_exposed(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/systemd/system"
    shutil.copytree(UNITS, folder, symlinks=True)
    for name, text in application_units().items():
        (folder / name).write_text(text)
    exposed = {name: exposure(tmp_path, name) for name in [*our_units(), *application_units()]}
    over = {name: found for name, found in exposed.items() if found > MOST_EXPOSED}
    assert not over, f"over {MOST_EXPOSED}: {over} (see: systemd-analyze security --offline=true UNIT; give it walls)"
    assert len(exposed) > 15


def exposure(root: Path, name: str) -> float:
    """From 0 to 10, as systemd-analyze makes it out from the unit's file alone."""
    name = name.replace("@.", "@x.")
    words = [str(PROGRAM), "security", "--offline=true", f"--root={root}", "--no-pager", name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    found = re.search(rf"Overall exposure level for {re.escape(name)}: ([0-9.]+)", done.stdout)
    assert found, f"{name}: {done.stdout[-200:]}{done.stderr}"
    return float(found[1])


def test_every_service_has_a_ceiling(inventory: Inventory) -> None:
    bare = [name for name in (*our_units(), *inventory.daemons) if "MemoryMax" not in service_section(name)]
    assert not bare, f"no MemoryMax: {bare} (a leak must end that service and not the board)"
    assert all("\nMemoryMax=" in text for text in application_units().values())


def test_a_service_that_was_ended_at_its_ceiling_starts_anew() -> None:
    """Those that stay from boot on; whoever started another for a while is told."""
    linked = {path.name for path in UNITS.glob("*.wants/*.service")}
    staying = [
        name
        for name in our_units()
        if name in linked | {"viscript.service", "viscript-starter.service"}
        and service_section(name).get("Type", "simple") in FOREVER
    ]
    assert {"skywire-board.service", "viscript.service", "viscript-starter.service"} <= set(staying)
    assert [name for name in staying if service_section(name).get("Restart") not in {"always", "on-failure"}] == []


def test_applications_go_first_when_all_memory_is_gone() -> None:
    assert all("\nOOMScoreAdjust=200\n" in text for text in application_units().values())
    adjusted = {name: int(service_section(name).get("OOMScoreAdjust", "0")) for name in our_units()}
    assert adjusted["skywire-board.service"] < adjusted["viscript.service"] < 0


def test_the_firewall_is_there_before_any_interface_is_brought_up() -> None:
    text = (UNITS / "skywire-firewall.service").read_text()
    assert "Before=network-pre.target systemd-networkd.service" in text
    assert "ExecStop" not in text
    assert (UNITS / "systemd-networkd.service.requires/skywire-firewall.service").is_symlink()


def test_each_path_is_made_once() -> None:
    """Of two lines systemd takes the first, which may be the one that lets more in."""
    lines = (OVERLAY / "usr/lib/tmpfiles.d/skywire.conf").read_text().splitlines()
    made = [line.split() for line in lines if line and not line.startswith("#")]
    paths = [words[1] for words in made]
    assert sorted(set(paths)) == sorted(paths)
    assert [words[2:5] for words in made if words[1] == "/data/update"] == [["0700", "root", "root"]]


def test_one_collector_for_support_runs_at_a_time() -> None:
    """Two beside each other would take 320 MB of a board that has 512."""
    socket = (UNITS / "skywire-support.socket").read_text()
    assert re.findall(r"^MaxConnections=(\d+)$", socket, re.MULTILINE) == ["1"]


def test_what_an_early_unit_starts_at_its_end_asks_for_no_target_that_wants_it() -> None:
    """Else its failure starts it anew: a migration that failed did so every few seconds, and nothing was taken back."""
    early = [name for name in our_units() if unit_section(name).get("DefaultDependencies") == "no"]
    started = {
        follower: name
        for name in early
        for key in ("OnFailure", "OnSuccess")
        for follower in unit_section(name).get(key, "").split()
    }
    assert {"skywire-roll-back.service", "skywire-restart.service"} <= set(started)
    assert [f"{name}, started by {started[name]}" for name in started if name not in early] == []
