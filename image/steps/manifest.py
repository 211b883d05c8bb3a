"""The manifest: every Debian package and Python library in the image, with version and hash, as tab-separated lines."""

import re
from pathlib import Path

from image.steps.packages import Package
from image.steps.root import TREE


def render_manifest(packages: list[Package], lock: Path = TREE / "requirements.lock") -> str:
    """Lines of: origin, name, version, sha256 (several for a library: the lock allows any of its files), use."""
    rows = [
        ("debian", p.name, p.version, p.sha256, "installed" if p.installed else "unpacked") for p in packages
    ]  # fmt: skip
    for block in re.split(r"\n(?=\S)", lock.read_text()):
        found = re.match(r"([\w.-]+)==([^\s;\\]+)", block)
        if found:
            rows.append(("python", found[1], found[2], ",".join(re.findall(r"sha256:(\w{64})", block)), "library"))
    return "".join("\t".join(row) + "\n" for row in (("origin", "name", "version", "sha256", "use"), *rows))
