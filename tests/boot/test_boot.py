"""The image boots on both machines and does what it says. `tests/prove image` prints the same rows, and more."""

from pathlib import Path

import pytest

from tests.boot.raspi3b import prove_raspi3b
from tests.boot.rows import Table
from tests.boot.virt import prove_virt

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("machine", ["virt", "raspi3b"])
def test_every_row_of_the_machine_holds(machine: str, image: Path, tmp_path: Path) -> None:
    table = Table(f"{machine}: {image.name}")
    {"virt": prove_virt, "raspi3b": prove_raspi3b}[machine](image, tmp_path, table)
    assert len(table.rows) >= 10
    assert not table.failed, "\n".join(f"{row.claim}: {row.seen}" for row in table.failed)
