"""The starter in what its unit leaves it: root without any of root's powers, and memory that cannot be code.

The directory is made as the image's tmpfiles entry says, with another group in viscriptd's place.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from viscript.launcher.starter.model import OUTPUTS

ROOT = Path(__file__).parents[3]
OVERLAY = ROOT / "rootfs_overlay/usr/lib"
GROUP = "daemon"
STARTER = """
import ctypes, os, sys
from pathlib import Path
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0 or os.uname().release < "6.3"  # PR_SET_MDWE
from viscript.launcher.config import Config
from viscript.launcher.deploy import add_entry
from viscript.launcher.model import App
from viscript.launcher.process.ring import Ring
from viscript.launcher.starter.files import Files
from viscript.launcher.starter.held import Held
directory = Path(sys.argv[1])
files = Files(directory / "out", Held({}))
streams = files.make(4, with_input=True)
with streams.output.open("ab") as file:
    file.write(b"x" * 500_000)
assert Ring(streams.output).trim() > 400_000
add_entry(directory, "at", App("at", "bin/apptracker"), Config({}))
powers = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd"))]
print(*powers, flush=True)
sys.stdin.read()
files.remove(4)
"""
USER = """
import os, pwd, sys
from pathlib import Path
from viscript.launcher.process.inlet import Inlet
from viscript.launcher.process.ring import Ring
user = pwd.getpwnam(sys.argv[2])
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
directory = Path("out")
def attempt(act):
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "may"
ring, inlet = Ring(directory / "4.out"), Inlet(directory / "4.in")
acts = [lambda: ring.read(-10, 10), lambda: inlet.write(b"x"), ring.trim, inlet.hold, ring.remove,
        lambda: (directory / "5.out").symlink_to("/etc/shadow")]
print(*map(attempt, acts))
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to give powers away")


def tmpfiles_entry(path: str) -> list[str]:
    lines = (OVERLAY / "tmpfiles.d/skywire.conf").read_text().splitlines()
    return next(words for line in lines if (words := line.split())[:2] == ["d", path])


def unit_settings(name: str) -> dict[str, str]:
    lines = (OVERLAY / "systemd/system" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def as_user(name: str, directory: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", USER, str(directory), name], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """What tmpfiles makes."""
    _, _, mode, owner, group, _ = tmpfiles_entry(OUTPUTS)
    assert (owner, group) == ("root", "viscriptd")
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, 0, pwd.getpwnam(GROUP).pw_gid)
    out.chmod(int(mode, 8))
    tmp_path.chmod(0o755)
    return tmp_path


def test_files_are_made_read_and_kept_from_others_without_any_power(board: Path) -> None:
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable, "-c", STARTER]
    pipe = subprocess.PIPE
    with subprocess.Popen([*words, str(board)], stdin=pipe, stdout=pipe, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline().split() == ["0" * 16, "0" * 16]
        own = [stat.filemode(path.stat().st_mode) for path in sorted((board / "out").iterdir())]
        assert own == ["prw--w----", "-rw-r-----"]
        assert {path.stat().st_gid for path in (board / "out").iterdir()} == {pwd.getpwnam(GROUP).pw_gid}
        viscript, stranger = as_user(GROUP, board), as_user("nobody", board)
        starter.communicate("")
    denied = "PermissionError"
    assert viscript == f"may may {denied} {denied} {denied} {denied}", "reads output, writes input, and no more"
    assert stranger == f"{denied} StartError {denied} {denied} {denied} {denied}"
    assert starter.returncode == 0
    assert list((board / "out").iterdir()) == []
    assert (board / "apps.d/at.yaml").exists()


def test_the_units_allow_just_that() -> None:
    starter = unit_settings("viscript-starter.service")
    assert starter["CapabilityBoundingSet"] == ""
    assert starter["ReadWritePaths"].split() == [f"-{OUTPUTS}", "-/etc/skywire/apps.d"]
    assert starter["MemoryDenyWriteExecute"] == "yes"
    assert tmpfiles_entry("/etc/skywire/apps.d")[2:5] == ["0755", "root", "root"]
    assert "ReadWritePaths" not in unit_settings("viscript.service")
