"""The checks that read files: each against a folder tree made as the kernel and the early set-up make it."""

import time
from pathlib import Path

import pytest

from skywire_board.checks.booted import check_boot
from skywire_board.checks.card import check_card
from skywire_board.checks.claimed import check_claim
from skywire_board.checks.clock import ClockCheck
from skywire_board.checks.data import check_setup
from skywire_board.checks.power import check_heat, check_power
from skywire_board.model import Boot, Claim, Pattern, Severity, Trouble

MOUNTS = """\
22 1 0:20 / / ro,relatime - overlay overlay rw,lowerdir=/a
30 22 179:4 / /data {own},noatime shared:5 - ext4 /dev/mmcblk0p4 {system},errors=remount-ro
31 22 0:5 / /dev rw shared:2 - devtmpfs udev ro
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Raspberry Pi that is well: cool, enough voltage, data written without an error."""
    put(tmp_path, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    put(tmp_path, "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "51540\n")
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
    put(tmp_path, "sys/fs/ext4/mmcblk0p4/errors_count", "0\n")
    put(tmp_path, "proc/self/mountinfo", MOUNTS.format(own="ro", system="rw"))
    put(tmp_path, "usr/lib/clock-epoch", "")
    return tmp_path


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def told(trouble: Trouble | None) -> tuple[str, Pattern | int]:
    """The code, and how it shows."""
    assert trouble is not None
    return trouble.code, trouble.blinks if trouble.severity is Severity.FAULT else trouble.pattern


def test_a_well_board_has_no_troubles(root: Path) -> None:
    assert [check(root) for check in (check_power, check_heat, check_card)] == [None] * 3


def test_a_board_without_any_of_these_files_is_well(tmp_path: Path) -> None:
    assert [check(tmp_path) for check in (check_power, check_heat, check_card)] == [None] * 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n"),
    ],
)
def test_low_voltage(root: Path, name: str, text: str) -> None:
    put(root, name, text)
    assert told(check_power(root)) == ("low-voltage", Pattern.POWER_OR_HEAT)


def test_voltage_that_was_low_once_is_over(root: Path) -> None:
    put(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n")
    assert check_power(root) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sys/class/thermal/thermal_zone0/temp", "81200\n"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "8\n"),
    ],
)
def test_too_hot(root: Path, name: str, text: str) -> None:
    put(root, name, text)
    assert told(check_heat(root)) == ("too-hot", Pattern.POWER_OR_HEAT)


def test_errors_of_the_card(root: Path) -> None:
    put(root, "sys/fs/ext4/mmcblk0p4/errors_count", "2\n")
    assert told(check_card(root)) == ("card-fault", 6)


def test_data_that_became_read_only(root: Path) -> None:
    put(root, "proc/self/mountinfo", MOUNTS.format(own="rw", system="ro"))
    assert told(check_card(root)) == ("card-fault", 6)


def test_a_wrong_setting_is_told_with_its_first_line(tmp_path: Path) -> None:
    assert check_setup(tmp_path / "fault") is None
    put(tmp_path, "fault", "skywire.yaml:3: name is 'a b'\nmore\n")
    trouble = check_setup(tmp_path / "fault")
    assert told(trouble) == ("setup-fault", 4)
    assert trouble is not None
    assert trouble.text == "the settings before hold: skywire.yaml:3: name is 'a b'"


def test_who_is_claimed(tmp_path: Path) -> None:
    assert check_claim(tmp_path / "claimed").fact == Claim(is_claimed=False)
    put(tmp_path, "claimed", "")
    assert check_claim(tmp_path / "claimed").fact == Claim(is_claimed=True)


def test_the_note_of_the_boot(tmp_path: Path) -> None:
    assert check_boot(tmp_path / "boot.json").fact is None
    put(tmp_path, "boot.json", '{"slot":"B","other":"A","trial":true,"mesh_before":true,"version":"0.2+ab","more":1}')
    found = check_boot(tmp_path / "boot.json")
    assert (found.trouble, found.fact) == (None, Boot("B", trial=True, mesh_before=True, version="0.2+ab"))
    put(tmp_path, "boot.json", '{"slot":"A","rolled_back":"the mesh did not work"}')
    found = check_boot(tmp_path / "boot.json")
    assert told(found.trouble) == ("rolled-back", Pattern.ROLLED_BACK)
    assert found.fact == Boot("A", rolled_back="the mesh did not work")


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"slot":5}', "\udcff"])
def test_a_note_that_makes_no_sense_is_no_trial(tmp_path: Path, text: str) -> None:
    (tmp_path / "boot.json").write_bytes(text.encode(errors="surrogateescape"))
    found = check_boot(tmp_path / "boot.json")
    assert found.fact is None
    assert found.trouble is not None
    assert found.trouble.severity is Severity.NOTE


# the clock


def clock(root: Path) -> ClockCheck:
    (root / "state").mkdir(exist_ok=True)
    return ClockCheck(root / "state", root)


def test_a_clock_that_nobody_set(root: Path) -> None:
    assert told(clock(root)()) == ("no-time", Pattern.NO_TIME)


def test_a_clock_in_step_is_remembered_for_ever(root: Path) -> None:
    check = clock(root)
    assert check() is not None
    put(root, "run/systemd/timesync/synchronized", "")
    assert check() is None
    (root / "run/systemd/timesync/synchronized").unlink()
    assert check() is None
    assert clock(root)() is None


def test_a_clock_of_its_own_counts_when_it_runs(root: Path) -> None:
    put(root, "sys/class/rtc/rtc0/hctosys", "1\n")
    put(root, "sys/class/rtc/rtc0/since_epoch", "100\n")
    assert clock(root)() is not None
    put(root, "sys/class/rtc/rtc0/since_epoch", f"{int(time.time()) + 5}\n")
    put(root, "sys/class/rtc/rtc0/hctosys", "0\n")
    assert clock(root)() is not None
    put(root, "sys/class/rtc/rtc0/hctosys", "1\n")
    assert clock(root)() is None


def test_a_clock_that_leapt_was_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = clock(root)
    assert check() is not None
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 3600)
    assert check() is None


def test_a_memory_that_cannot_be_kept_harms_nothing(root: Path) -> None:
    put(root, "run/systemd/timesync/synchronized", "")
    assert ClockCheck(root / "not" / "there", root)() is None
