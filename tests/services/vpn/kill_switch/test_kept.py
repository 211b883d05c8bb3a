"""What is kept of the kill switch for the next boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.vpn.errors import KeptError
from services.vpn.kill_switch.kept import forget, recall, remember
from services.vpn.kill_switch.rules import Exceptions, Rules, rules


def test_it_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    assert recall(folder) is None
    first, second = rules(Exceptions()), rules(Exceptions(gateways=("eth1",)))
    assert first.mark != second.mark
    for loaded in (first, second):
        remember(folder, loaded)
        assert recall(folder) == loaded
    forget(folder)
    forget(folder)
    assert recall(folder) is None


def test_the_same_is_not_written_again(tmp_path: Path) -> None:
    remember(tmp_path, rules(Exceptions()))
    (file,) = tmp_path.iterdir()
    before = file.stat()
    remember(tmp_path, rules(Exceptions()))
    assert file.stat().st_ino == before.st_ino


def test_it_reads_no_other_file(tmp_path: Path) -> None:
    remember(tmp_path, Rules("x", 'include "/etc/passwd"'))
    with pytest.raises(KeptError, match="is none of ours"):
        recall(tmp_path)
