"""The note by which the next boot arms the watchdog: kept once it was armed, taken back with what the boot armed."""

from pathlib import Path

import pytest

from skywire_board.outputs.early_watchdog import BITES_AFTER_S, DRIVERS, EarlyWatchdog
from skywire_board.outputs.fake_watchdog import FakeWatchdog
from skywire_board.outputs.watchdog import Watchdog


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """What sysfs says of a Raspberry Pi's."""
    (tmp_path / "identity").write_text("Broadcom BCM2835 Watchdog timer\n")
    return tmp_path / "identity"


def test_the_next_boot_is_told_once(tmp_path: Path, sysfs: Path) -> None:
    early, note = EarlyWatchdog(tmp_path, sysfs), tmp_path / "watchdog"
    early.keep()
    assert note.read_text() == f"bcm2835_wdt {BITES_AFTER_S}\n"
    written = note.stat()
    early.keep()
    assert note.stat() == written


def test_what_the_pis_driver_counts_is_all_but_16_s() -> None:
    """PM_WDOG takes 20 bits of ticks of 1/65536 s (Linux, drivers/watchdog/bcm2835_wdt.c) and is fed each 8 s."""
    assert (BITES_AFTER_S << 16) & 0xFFFFF == 15 << 16


@pytest.mark.parametrize("identity", ["", "Software Watchdog", None])
def test_one_that_the_boot_does_not_know_gets_no_note(tmp_path: Path, identity: str | None) -> None:
    if identity is not None:
        (tmp_path / "identity").write_text(f"{identity}\n")
    EarlyWatchdog(tmp_path, tmp_path / "identity").keep()
    assert not (tmp_path / "watchdog").exists()


def test_the_boot_knows_the_same_drivers() -> None:
    script = (Path(__file__).parents[3] / "image/initramfs/mount-data").read_text()
    assert f"{' | '.join(sorted(DRIVERS.values()))}) ;;" in script


def test_who_wants_none_has_none_any_more(tmp_path: Path, sysfs: Path) -> None:
    hardware = FakeWatchdog(lambda: 0.0)
    device = hardware.open()
    Watchdog(device)
    device.close()  # as the boot leaves it: armed
    early = EarlyWatchdog(tmp_path, sysfs)
    early.keep()
    early.forget(hardware.open)
    assert not hardware.armed
    assert not (tmp_path / "watchdog").exists()


def test_what_the_boot_did_not_arm_is_left_alone(tmp_path: Path, sysfs: Path) -> None:
    hardware = FakeWatchdog(lambda: 0.0)
    hardware.open().close()
    EarlyWatchdog(tmp_path, sysfs).forget(hardware.open)
    assert hardware.armed


def test_a_watchdog_that_is_gone_is_no_reason_to_stop(tmp_path: Path, sysfs: Path) -> None:
    def none() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    early = EarlyWatchdog(tmp_path, sysfs)
    early.keep()
    early.forget(none)  # type: ignore[arg-type]
    assert not (tmp_path / "watchdog").exists()
