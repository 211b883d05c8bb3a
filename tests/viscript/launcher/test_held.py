"""The starter's descriptors in systemd's keeping: given away, handed back, and let go."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

import pytest

from viscript.launcher.process.inlet import Inlet
from viscript.launcher.starter.files import Files
from viscript.launcher.starter.held import Given, Held, read_given


@pytest.mark.parametrize(
    ("variables", "given"),
    [
        ({}, Given(None, {})),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, Given(None, {})),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "x"}, Given(None, {})),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, Given(3, {})),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a.socket:in-2:in-40"}, Given(3, {2: 4, 40: 5})),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "in-2:a.socket"}, Given(4, {2: 3})),
    ],
)
def test_what_systemd_gives_is_told_apart(variables: dict[str, str], given: Given) -> None:
    assert read_given(variables, 7) == given


def test_an_input_outlives_the_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that reads sees nothing of a starter's death and its successor's start."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        first = Held({})
        assert Files(tmp_path, first).make(4, with_input=True).input == tmp_path / "4.in"
        text, kept, _, _ = socket.recv_fds(systemd, 1000, 1)
        assert text == b"FDSTORE=1\nFDPOLL=0\nFDNAME=in-4"
        program = os.open(tmp_path / "4.in", os.O_RDONLY | os.O_NONBLOCK)
        first.drop(4)  # as its death would
        assert systemd.recv(1000) == b"FDSTOREREMOVE=1\nFDNAME=in-4"
        second = Files(tmp_path, Held({4: kept[0]}))
        second.hold_inputs()
        assert not select.select([program], [], [], 0)[0], "no end of file to read"
        Inlet(tmp_path / "4.in").write(b"on\n")
        assert os.read(program, 100) == b"on\n"
        second.remove(4)
        assert os.read(program, 100) == b"", "now there is"
        os.close(program)
        assert systemd.recv(1000) == b"FDSTOREREMOVE=1\nFDNAME=in-4"


def test_a_systemd_that_does_not_listen_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    files = Files(tmp_path, Held({}))
    files.make(4, with_input=True)
    Inlet(tmp_path / "4.in").write(b"x")
    files.remove(4)
