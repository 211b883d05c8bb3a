"""What a secret shows, copies and leaves behind, and what others see of a process that hides."""

import copy
import json
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import msgspec
import pytest

from services.errors import IdentityError
from services.keys import Identity
from services.secrecy import Secret
from services.seed_file import create, read
from tests.house.tree import ROOT

BYTES = bytes(range(0x41, 0x61))

HIDES = "from services.secrecy import hide_process\nhide_process()\n"
CRASHES = "import os, resource, signal\nresource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)\n"
CRASHES += "{hides}os.kill(os.getpid(), signal.SIGABRT)\n"
STAYS = """
import ctypes, os, sys
from services.secrecy import hide_process
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # the change of user had hidden it too
{hides}
print("ready", flush=True)
sys.stdin.read()
"""

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
NOBODY = 65534


def leaks(text: str) -> bool:
    return any(part in text for part in ("ABCD", BYTES.hex(), str(list(BYTES)[:4])[1:-1]))


def python(program: str) -> list[str]:
    return [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}"]


# the holder


@pytest.mark.parametrize("holder", [Secret(BYTES), Identity(Secret(BYTES))])
def test_a_holder_shows_nothing(holder: Secret | Identity) -> None:
    for text in (repr(holder), str(holder), f"{holder}", f"{[holder]}"):
        assert not leaks(text)
    assert not hasattr(holder, "__dict__")
    for copying in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, msgspec.to_builtins):
        with pytest.raises(TypeError) as caught:
            copying(holder)
        assert not leaks(str(caught.value))


def test_the_check_sees_a_leak() -> None:
    assert leaks(repr(BYTES))
    assert leaks(BYTES.hex())
    assert leaks(repr(list(BYTES)))


def test_a_secret_equals_the_same_bytes_alone() -> None:
    assert Secret(BYTES) == Secret(bytearray(BYTES))
    assert Secret(BYTES) != Secret(bytes(32))
    assert Secret(BYTES) != BYTES
    with pytest.raises(TypeError):
        hash(Secret(BYTES))


def test_a_wiped_secret_is_gone() -> None:
    with Secret(BYTES) as secret:
        held = secret._bytes
        assert secret.reveal() == BYTES
    assert not any(held)
    with pytest.raises(ValueError, match="wiped"):
        secret.reveal()


def test_a_secret_of_another_length_is_not_told() -> None:
    with pytest.raises(ValueError, match=r"a secret has 32 bytes, not 31") as caught:
        Secret(BYTES[:31])
    assert not leaks(str(caught.value))


def test_a_traceback_with_all_its_variables_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    create(path, Secret(BYTES))
    with pytest.raises(IdentityError) as twice:
        create(path, Secret(BYTES))
    path.chmod(0o644)
    with pytest.raises(IdentityError) as seen:
        read(path)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="purpose") as unsigned:
        Identity(read(path)).sign("", b"")
    for caught in (twice, seen, unsigned):
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert not leaks("".join(told.format()))


# the process


def test_a_hidden_process_dumps_no_core(tmp_path: Path) -> None:
    ends = {}
    for name, hides in (("open", ""), ("hidden", HIDES)):
        (tmp_path / name).mkdir()
        process = subprocess.Popen(python(CRASHES.format(hides=hides)), cwd=tmp_path / name)
        ends[name] = os.waitpid(process.pid, 0)[1]
        process.returncode = os.waitstatus_to_exitcode(ends[name])
        assert process.returncode == -6
    if not os.WCOREDUMP(ends["open"]):
        pytest.skip("nothing dumps core on this machine")
    assert not os.WCOREDUMP(ends["hidden"])
    assert list((tmp_path / "hidden").iterdir()) == []


def test_a_hidden_process_says_so_in_proc() -> None:
    told = "from pathlib import Path\nprint(Path('/proc/self/limits').read_text())\n"
    told += "import ctypes\nprint('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run(python(HIDES + told), capture_output=True, text=True, timeout=60, check=True)
    limit = next(line.split() for line in done.stdout.splitlines() if line.startswith("Max core file size"))
    assert limit[4:6] == ["0", "0"]
    assert "dumpable 0" in done.stdout


@ROOT_ONLY
@pytest.mark.parametrize("hides", [False, True])
def test_the_same_user_cannot_look_into_a_hidden_process(hides: bool) -> None:
    """As nobody, who may look into nobody's other processes."""
    pipe = subprocess.PIPE
    with subprocess.Popen(python(STAYS.format(hides="hide_process()" if hides else "")), stdin=pipe, stdout=pipe) as it:
        assert it.stdin is not None
        assert it.stdout is not None
        try:
            assert it.stdout.readline() == b"ready\n"
            files = [f"/proc/{it.pid}/{name}" for name in ("mem", "environ", "maps")]
            assert {Path(file).stat().st_uid for file in files} == {0 if hides else NOBODY}
            looks = [["head", "-c1", file] for file in files[1:]] + [["ls", f"/proc/{it.pid}/fd"]]
            for look in looks:
                done = subprocess.run(
                    look, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, timeout=30, check=False
                )
                assert (done.returncode != 0) == hides, (look, done.stderr)
        finally:
            it.stdin.close()
