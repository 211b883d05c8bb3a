"""The manifest: one line for each package and each locked library."""

from pathlib import Path

from image.steps.manifest import render_manifest
from image.steps.packages import Package

ONE, TWO = "1" * 64, "2" * 64
LOCK = f"""\
# made by tests/lock
click==8.3.0 \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{TWO}
    # via skywire-board
Py.YAML_x==6.0.3 ; python_version >= "3.11" \\
    --hash=sha256:{TWO}
"""


def test_every_package_and_library_has_a_line(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(LOCK)
    packages = [Package("kmod", "34-2", ONE, 5, installed=True), Package("u-boot", "2025", TWO, 5, installed=False)]
    rows = [line.split("\t") for line in render_manifest(packages, tmp_path / "lock").splitlines()]
    assert rows == [
        ["origin", "name", "version", "sha256", "use"],
        ["debian", "kmod", "34-2", ONE, "installed"],
        ["debian", "u-boot", "2025", TWO, "unpacked"],
        ["python", "click", "8.3.0", f"{ONE},{TWO}", "library"],
        ["python", "Py.YAML_x", "6.0.3", TWO, "library"],
    ]


def test_the_lock_of_the_tree_is_read_whole() -> None:
    lock = Path(__file__).parents[3] / "requirements.lock"
    names = [line.split("==")[0] for line in lock.read_text().splitlines() if line[:1].isalnum() and "==" in line]
    rows = [line.split("\t") for line in render_manifest([], lock).splitlines()[1:]]
    assert [row[1] for row in rows] == names
    assert all(len(sum_) == 64 for row in rows for sum_ in row[3].split(","))
