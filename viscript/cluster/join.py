"""Makes this board part of its cluster, and takes it out again. A broken file or a taken port is no reason for the
daemon to end: it is logged and told with the board's own row in `nodes`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from viscript.cluster.config import alone, load_cluster
from viscript.cluster.fanout import Cluster
from viscript.cluster.model import ClusterConfig
from viscript.cluster.server import ClusterServer
from viscript.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from viscript.api.server import Answer

log = logging.getLogger(__name__)


@asynccontextmanager
async def join(path: Path | None, answer: Answer) -> AsyncIterator[Cluster]:
    """`answer` is the desk's: what this board does when it is asked, by its own people or by an operator."""
    config, trouble = _read(path)
    cluster, server = Cluster(config, answer), ClusterServer(config, answer)
    try:
        await server.start()
    except ClusterError as error:
        trouble = str(error)
    if trouble:
        log.error("cluster: %s", trouble)
        cluster.trouble = trouble
    try:
        yield cluster
    finally:
        await server.close()
        await cluster.close()


def _read(path: Path | None) -> tuple[ClusterConfig, str]:
    try:
        return load_cluster(path), ""
    except ConfigError as error:
        return alone(), str(error)
