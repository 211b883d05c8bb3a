"""nats-server as a child of the manager: found, configured, started, watched, ended. The door to that process.

It is ready when it says so on its log, which comes here through a pipe. When it dies it is started again after a pause
that doubles; when the manager dies, however that happens, the kernel tells it to end (`setpriv --pdeathsig`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from services.manager.errors import EngineError
from services.manager.limits import Limits
from services.manager.server_config import Settings, config_text, read_accounts
from viscript.durable import write_whole

log = logging.getLogger(__name__)

READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
SOUND_AFTER_S = 60.0
"""Who ran that long is started again after the first pause."""

CONFIG = "nats-server.conf"

LINES_PER_S, LINES_AT_ONCE = 2.0, 100
"""Of its log: it writes a line for each thing a hostile client tries, and a card is not for that."""

_READY = b"Server is ready"
_PEER_GONE = b"Router connection closed"
_MEMORY_LIMIT = "48MiB"
"""Of Go's heap: the collector works harder near it, nothing is refused."""

_COLLECT_AFTER = "20"
"""Per cent that the heap may grow: with a hundred nodes 23 MB instead of 30, for work that is hardly measurable."""

_LEVELS = {b"[INF]": logging.DEBUG, b"[WRN]": logging.WARNING, b"[ERR]": logging.WARNING, b"[FTL]": logging.ERROR}


class NatsServer:
    """`folder` holds its configuration and its store, for this user's eyes alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._last: deque[str] = deque(maxlen=5)
        self._telling = Limits(LINES_PER_S, LINES_AT_ONCE)
        self.on_peer_gone: Callable[[], None] | None = None
        """Called when another server of the cluster is away."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Until it is ready. Raises EngineError with what it said last."""
        programs = (_find("setpriv", "util-linux"), _find("nats-server", "nats-server"))
        self.configure(self._settings)
        self._keeping = asyncio.get_running_loop().create_task(self._keep(programs))
        try:
            await self.wait_ready(READY_WITHIN_S)
        except EngineError:
            await self.stop()
            raise

    async def wait_ready(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._ready.wait()
        except TimeoutError:
            said = "; ".join(self._last) or "nothing"
            raise EngineError(f"nats-server is not ready after {within_s:g} s; it said: {said}") from None

    def configure(self, settings: Settings) -> None:
        """For its next start. Raises EngineError."""
        self._settings = settings
        try:
            settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._config, config_text(settings).encode(), 0o600)
        except OSError as error:
            raise EngineError(f"cannot write '{self._config}': {error.strerror}") from error

    async def stop(self) -> None:
        """Ends it; it writes its store before it goes."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None

    @property
    def _config(self) -> Path:
        return self._settings.folder / CONFIG

    async def _keep(self, programs: tuple[str, str]) -> None:
        pause_s = FIRST_PAUSE_S
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            code = await self._run(programs)
            pause_s = FIRST_PAUSE_S if clock() - started > SOUND_AFTER_S else pause_s
            log.error("nats-server ended with %s and starts again in %g s: %s", code, pause_s, "; ".join(self._last))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _run(self, programs: tuple[str, str]) -> int | str:
        setpriv, server = programs
        self._last.clear()
        try:
            process = await asyncio.create_subprocess_exec(
                *(setpriv, "--pdeathsig", "TERM", "--", server, "--config", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.defpath, "GOMEMLIMIT": _MEMORY_LIMIT, "GOGC": _COLLECT_AFTER},
                start_new_session=True,  # a person's Ctrl+C is the manager's to handle
            )
        except OSError as error:
            self._last.append(f"cannot be started: {error.strerror}")
            return "no start"
        self._process = process
        try:
            assert process.stderr is not None
            await self._follow(process.stderr)
            return await process.wait()
        finally:
            self._ready.clear()
            self._process = None
            if process.returncode is None:
                await asyncio.shield(_end(process))

    async def _follow(self, stream: asyncio.StreamReader) -> None:
        """Until it closes its log, which it does by ending."""
        while line := await _read_line(stream):
            level = next((level for mark, level in _LEVELS.items() if mark in line), logging.DEBUG)
            text = line.decode("utf-8", "replace").strip()
            if self._telling.allows("", time.monotonic()):
                log.log(level, "nats-server: %s", text)
            if level > logging.DEBUG:
                self._last.append(text)
            if _READY in line:
                self._ready.set()
            if _PEER_GONE in line and self.on_peer_gone is not None:
                self.on_peer_gone()


def kept_accounts(folder: Path) -> dict[str, str]:
    """What the server was told last: so a start lets nobody in who was expelled before. Empty the first time."""
    try:
        return read_accounts((folder / CONFIG).read_bytes())
    except OSError:
        return {}


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # a line longer than the reader's limit, which has dropped it
        return b"[WRN] a line too long to tell\n"


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


def _find(program: str, package: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise EngineError(f"'{program}' is missing (run: apt-get install {package})")
    return found
