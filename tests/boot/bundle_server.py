"""Serves one file by HTTP with ranges and lasting connections, as RAUC streams it, and counts what was fetched."""

import base64
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self


class _Guarded(BaseHTTPRequestHandler):
    """Answers none but `wanted`, a name:password, if there is one."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    wanted = ""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        header = f"Basic {base64.b64encode(self.wanted.encode()).decode()}"
        if self.wanted and self.headers.get("Authorization") != header:
            self.send_error(401)
            return False
        return True


class BundleServer:
    """On loopback, which an emulated board sees as 10.0.2.2. `cut_after` bytes every answer ends early, for good.
    `login` is the `name:password` without which nothing is served; `url` has it.
    """

    def __init__(self, file: Path, cut_after: int | None = None, login: str = "") -> None:
        self.fetched = self.requests = 0
        outer = self

        class Handler(_Guarded):
            wanted = login

            def do_HEAD(self) -> None:
                self._head(0, file.stat().st_size)

            def do_GET(self) -> None:
                size = file.stat().st_size
                start, end = 0, size
                found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if found:
                    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
                outer.requests += 1
                if cut_after is not None and outer.fetched + end - start > cut_after:
                    self.close_connection = True
                    return
                self._head(start, end, ranged=bool(found))
                with file.open("rb") as data:
                    data.seek(start)
                    self.wfile.write(data.read(end - start))
                outer.fetched += end - start

            def _head(self, start: int, end: int, *, ranged: bool = False) -> None:
                self.send_response(206 if ranged else 200)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(end - start))
                if ranged:
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{file.stat().st_size}")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the counts tell."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://{login}{'@' if login else ''}10.0.2.2:{self._server.server_port}/board.raucb"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
