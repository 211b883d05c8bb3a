"""When a manager trusts its clock: told by a server, or when none was to be had for a while."""

from pathlib import Path

from services.manager.clock import WAIT_S, is_set


def test_a_board_waits_for_the_time_and_not_for_ever(tmp_path: Path) -> None:
    folder = tmp_path / "timesync"
    assert is_set(folder, up_s=1), "no timesyncd: the machine keeps time by itself"
    folder.mkdir()
    assert not is_set(folder, up_s=WAIT_S - 1)
    assert is_set(folder, up_s=WAIT_S)
    (folder / "synchronized").touch()
    assert is_set(folder, up_s=1)


def test_this_machine_is_up_for_longer_than_nothing(tmp_path: Path) -> None:
    assert is_set(tmp_path) == is_set(tmp_path, up_s=float(Path("/proc/uptime").read_text().split()[0]))
