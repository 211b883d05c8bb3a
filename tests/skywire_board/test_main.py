"""The command line as a person or systemd starts it: real processes, on a machine without a GPIO chip."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "image" / "boards"
ROOT = Path(__file__).parents[2]


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "skywire_board", *args]


def ask(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), capture_output=True, text=True, check=False, cwd=ROOT)


def test_boards_as_table_and_json() -> None:
    done = ask("boards", "--boards", str(FOLDER))
    assert "Raspberry Pi 5           pinctrl-rp1      17      27        22      ttyAMA10,115200" in done.stdout
    boards = json.loads(ask("boards", "--boards", str(FOLDER), "--json").stdout)
    assert {board["name"] for board in boards} >= {"Raspberry Pi Zero 2 W", "QEMU virt"}


def test_check_config(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("gpio:\n  status_led: 5\n")
    options = ("--board", "raspberrypi,3-model-b", "--boards", str(FOLDER))
    assert f"{path}: right" in ask("check-config", str(path), *options).stdout
    path.write_text("gpio:\n  status_led: red\n")
    done = ask("check-config", str(path), *options)
    assert (done.returncode, done.stderr) == (
        1,
        f"skywire-board: {path}:2: gpio.status_led is 'red', expected a line number or none\n",
    )
    assert "Traceback" in ask("--debug", "check-config", str(path), *options).stderr


def test_patterns_as_table_and_json() -> None:
    table = ask("patterns").stdout
    assert "identify        fast blinking for 10 s" in table
    assert "6 flashes" in table
    assert max(len(line) for line in table.splitlines()) <= 80
    rows = json.loads(ask("patterns", "--json").stdout)
    assert [row["pattern"] for row in rows["patterns"]][:2] == ["booting", "unclaimed"]
    assert [row["blinks"] for row in rows["faults"]] == [3, 4, 5, 6, 7]
    assert rows["button"][0]["act"] == "short"


def test_asked_wrongly() -> None:
    done = ask("run", "--colour", "red")
    assert done.returncode == 2
    assert "cannot make sense of '--colour'" in done.stderr
    assert ask("run", "--boards").returncode == 2
    assert ask("dance").returncode == 2
    assert "--socket" in ask("run", "--help").stdout


def test_a_board_without_anything_runs_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text("gpio: 5\n")
    places = {name: tmp_path / name for name in ("run", "root", "state", "board-socket", "watchdog", "data-fault")}
    options = [word for name, path in places.items() for word in (f"--{name}", str(path))]
    options += ["--boards", str(FOLDER), "--config", str(tmp_path / "board.yaml"), "--systemctl", "true"]
    process = subprocess.Popen(
        command("run", *options, f"--socket={tmp_path / 'api.sock'}"),
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(6)]
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "overrides are ignored" in lines[0]
    assert sum("no lights and no button on GPIO" in line for line in lines) == 1
    assert sum("viscript does not answer" in line for line in lines) == 1
    assert rest == ""
