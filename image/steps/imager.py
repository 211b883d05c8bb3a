"""The list by which Raspberry Pi Imager offers the image (`os_list.json`), and with it asks its questions.

Source: the JSON schema in Imager's own repository (doc/json-schema). `init_format: cloudinit`: Imager writes user-data
and network-config onto the boot partition, which the board's set-up understands.
"""

import base64
import datetime
import hashlib
from pathlib import Path

import msgspec

from image.boards import Board

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" rx="8" fill="#123"/>'
    '<path d="M8 28 20 10l12 18M14 28h12" fill="none" stroke="#6cf" stroke-width="3"/></svg>'
)
TAGS = {"raspberrypi-zero-2": "pi3-64bit", "raspberrypi-3": "pi3-64bit", "raspberrypi-4": "pi4-64bit",
        "raspberrypi-5": "pi5-64bit"}  # fmt: skip


class System(msgspec.Struct, frozen=True):
    """An entry of `os_list`; sizes in bytes, sums are SHA-256 in hex."""

    name: str
    description: str
    icon: str
    url: str
    extract_size: int
    extract_sha256: str
    image_download_size: int
    image_download_sha256: str
    release_date: str
    devices: list[str]
    init_format: str = "cloudinit"
    architecture: str = "armv8"


def device_tags(boards: list[Board]) -> list[str]:
    """Imager's names for the boards that the image serves."""
    return sorted({tag for board in boards for start, tag in TAGS.items() if board.slug.startswith(start)})


def render_list(boards: list[Board], version: str, epoch: int, image: Path, packed: Path, url: str) -> bytes:
    """JSON with two spaces. `packed` may be the image itself."""
    system = System(
        name="Skywire Board",
        description=f"A board of a peer-to-peer mesh, version {version}; log in by SSH key only",
        icon="data:image/svg+xml;base64," + base64.b64encode(ICON.encode()).decode(),
        url=url,
        extract_size=image.stat().st_size,
        extract_sha256=_sum(image),
        image_download_size=packed.stat().st_size,
        image_download_sha256=_sum(packed),
        release_date=datetime.datetime.fromtimestamp(epoch, datetime.UTC).date().isoformat(),
        devices=device_tags(boards),
    )
    return msgspec.json.format(msgspec.json.encode({"os_list": [system]}), indent=2) + b"\n"


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
