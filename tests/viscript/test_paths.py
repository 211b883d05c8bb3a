"""Which daemon a shell speaks to when nobody says so: never one that somebody else put in the way."""

import os
from pathlib import Path

import pytest

from viscript.paths import RUN_SOCKET, runtime_directory, shell_socket


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISCRIPT_SOCKET", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


def make_own(monkeypatch: pytest.MonkeyPatch, base: Path) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    path = base / "viscript" / "api.sock"
    path.parent.mkdir()
    path.touch()
    return path


def test_root_takes_nothing_from_a_place_that_anyone_can_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert shell_socket() == RUN_SOCKET
    assert runtime_directory() == RUN_SOCKET.parent


def test_a_users_own_daemon_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert make_own(monkeypatch, tmp_path) == shell_socket()


def test_a_directory_of_somebody_else_is_passed_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_own(monkeypatch, tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert shell_socket() == RUN_SOCKET
