"""What may be loaded before an answer or a light: on an emulated board each of these modules costs seconds."""

import os
import subprocess
import sys
from pathlib import Path

from tests.house.modules import is_under
from tests.house.tree import ROOT, told
from tests.viscript.daemon import run_daemon

LISTING = """
import atexit, sys
listing = sys.argv.pop()
atexit.register(lambda: open(listing, "w").write("\\n".join(sys.modules)))
"""
"""Writes what is loaded at the end into the file named by the last argument."""

ONE_SHOT = f"""{LISTING}
from viscript.__main__ import main
main()
"""

FIRST_LIGHT = f"""{LISTING}
from skywire_board import __main__, errors, start

def wire_and_leave(board, wire=start.wire_pins):
    assert board.gpio, board
    try:
        wire(board)
    except errors.PinError:  # a machine without that chip
        pass
    sys.exit()

start.read_compatible = lambda: ["raspberrypi,3-model-b"]
start.wire_pins = wire_and_leave
__main__.main()
"""

NOT_FOR_A_COMMAND = [
    *["asyncio", "json", "logging", "psutil", "prompt_toolkit", "rich", "ssl", "subprocess", "yaml"],
    *[
        "viscript.cluster",
        "viscript.headless",
        "viscript.launcher.config",
        "viscript.launcher.lifecycle",
        "viscript.launcher.process",
    ],
    *["viscript.launcher.starter", "viscript.shell.interactive", "viscript.signal"],
]
NOT_BEFORE_A_LIGHT = [
    *["asyncio", "click", "prompt_toolkit", "psutil", "ssl"],
    *["skywire_board.checks", "skywire_board.commands", "skywire_board.loop"],
]


def over_budget(loaded: list[str], forbidden: list[str]) -> list[str]:
    return [name for name in forbidden if any(is_under(module, name) for module in loaded)]


def loaded_by(program: str, folder: Path, *words: str, **environment: str) -> list[str]:
    listing = folder / "modules"
    done = subprocess.run(
        [sys.executable, "-c", program, *words, str(listing)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, told([done.stderr], "mend what it says: the program must run to be measured")
    return listing.read_text().splitlines()


def test_a_command_loads_little(tmp_path: Path) -> None:
    with run_daemon(tmp_path) as daemon:
        loaded = loaded_by(ONE_SHOT, tmp_path, "apps", VISCRIPT_SOCKET=str(daemon.socket))
    assert "viscript.api.client" in loaded
    wrong = over_budget(loaded, NOT_FOR_A_COMMAND)
    assert not wrong, told(wrong, "'viscript apps' now loads these: import them where they are used")


def test_the_first_light_waits_for_little(tmp_path: Path) -> None:
    loaded = loaded_by(FIRST_LIGHT, tmp_path, "run", "--boards=image/boards", f"--config={tmp_path / 'none'}")
    assert "skywire_board.pins.gpiod_factory" in loaded
    wrong = over_budget(loaded, NOT_BEFORE_A_LIGHT)
    assert not wrong, told(wrong, "these now delay the first light: import them after the pins, in start.run")


def test_more_than_the_budget_is_seen(tmp_path: Path) -> None:
    loaded = loaded_by(f"{LISTING}\nimport asyncio.events, logging", tmp_path)
    assert over_budget(loaded, ["asyncio", "logging", "viscript"]) == ["asyncio", "logging"]
