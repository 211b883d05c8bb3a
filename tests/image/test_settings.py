"""The row of the kernel's settings turns red when a kernel has one no more, unless that is on the list."""

import pytest

from tests.boot.security_rows import SYSCTL, judge_settings, read_settings
from tests.image.inventory import read_inventory

USERNS = "kernel/unprivileged_userns_clone"
WANTED = read_settings(SYSCTL.read_text())
ALL = [f"{name} {value}" for name, value in WANTED.items()]


@pytest.mark.parametrize(
    ("said", "absent", "ok"),
    [
        (ALL, [], True),
        ([line if "userns" not in line else line.partition(" ")[0] for line in ALL], [], False),
        ([line if "userns" not in line else line.partition(" ")[0] for line in ALL], [USERNS], True),
        (ALL, [USERNS], False),
        ([line if "userns" not in line else f"{USERNS} 1" for line in ALL], [], False),
        ([], [], False),
    ],
)
def test_a_setting_that_the_kernel_has_no_more_is_told(said: list[str], absent: list[str], ok: bool) -> None:
    assert judge_settings(WANTED, "\n".join(said), absent)[1] is ok


def test_the_list_names_settings_of_the_image() -> None:
    assert USERNS in WANTED
    assert set(read_inventory().absent_settings) <= WANTED.keys()
