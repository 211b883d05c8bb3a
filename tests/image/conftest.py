"""What the last build unpacked: firmware, U-Boot, kernel. Tests that use it are marked `image`."""

import os
from pathlib import Path

import pytest

from image.cache import default_cache
from image.steps.kernel import Kernel, open_kernel
from tests.image.drivers import Drivers


@pytest.fixture(scope="session")
def unpacked() -> Path:
    """The newest folder of unpacked packages in the build cache, or the one that SKYWIRE_UNPACKED names."""
    if given := os.environ.get("SKYWIRE_UNPACKED"):
        return Path(given)
    folders = [path for path in default_cache().glob("unpacked/*") if not path.name.startswith(".")]
    if not folders:
        pytest.skip(f"no image was ever built here: '{default_cache()}/unpacked' is empty (run: image/build)")
    return max(folders, key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="session")
def kernel(unpacked: Path) -> Kernel:
    return open_kernel(unpacked / "kernel")


@pytest.fixture(scope="session")
def drivers(kernel: Kernel) -> Drivers:
    return Drivers(kernel.modules)
