"""A service that a node offers, as it signs it and everyone checks it. Pure."""

from __future__ import annotations

import re

from services.manager.errors import WordsError
from services.manager.model import Service
from services.manager.signed import read

SERVICE = "skywire service"
"""The purpose of a node's signature over a Service (`signed.sign`)."""

MAX_OPEN_TO = 64
MAX_LABELS = 8
_LABEL = re.compile(r"[a-z0-9=-]{1,32}")


def read_service(data: bytes) -> Service:
    """Signed by the node that offers it. Raises WordsError."""
    by, service = read(data, SERVICE, Service)
    if service.node_id != by:
        raise WordsError(f"a service of node '{service.node_id}', signed by '{by}'")
    check_name(service.name)
    if not 1 <= service.port <= 65535 or len(service.open_to) > MAX_OPEN_TO:
        raise WordsError(f"service '{service.name}' of node '{by}': no such port, or a list too long")
    check_labels(service.labels)
    return service


def check_labels(labels: tuple[str, ...]) -> None:
    """Words by which a service is chosen, such as `country=de` or `fast`. Raises WordsError."""
    if len(labels) > MAX_LABELS:
        raise WordsError(f"{len(labels)} labels, at most {MAX_LABELS}")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise WordsError(
                f"{label[:80]!a} is no label: expected 1 to 32 small letters, digits, '=' and '-', such as country=de"
            )


def check_name(name: str) -> str:
    """A name as the mesh's names are. Raises WordsError."""
    if not 1 <= len(name) <= 63 or not name.isascii() or not name.replace("-", "").isalnum():
        raise WordsError(f"{name[:80]!a} is no name: expected 1 to 63 letters, digits and hyphens")
    return name
