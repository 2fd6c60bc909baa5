"""A server that stands for GitHub, Figshare and Zenodo, and can misbehave as they do."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass
class Asked:
    """One request and what was sent for it."""

    path: str
    start: int
    sent: int = 0


@dataclass
class PublicServer:
    """What lies there, how it is sent, and what was asked for.

    Attributes:
        content: bytes, or the file that has them, by path without the first slash.
        ranges: whether parts are sent where parts are asked for.
        cuts: how many bytes to send before the connection is cut, for each next request.
        refusals: status codes to answer the next requests with.
        pause_s: between two parts of 64 KiB.
    """

    url: str
    content: dict[str, bytes | Path] = field(default_factory=dict)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    pause_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def says(self, path: str, said: Any) -> None:
        """Answer with JSON."""
        self.content[path] = json.dumps(said).encode()

    def starts(self, path: str) -> list[int]:
        """From which byte on a file was asked for, request by request."""
        return [asked.start for asked in self.asked if asked.path == path]

    @property
    def sent(self) -> int:
        """Bytes of all answers."""
        return sum(asked.sent for asked in self.asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: PublicServer

    def do_GET(self) -> None:
        try:
            self.respond()
        except ConnectionError:  # clients that are killed or give up go away in the middle
            self.close_connection = True

    def respond(self) -> None:
        owner = self.owner
        path = unquote(self.path.partition("?")[0]).removeprefix("/")
        asked = Asked(path, int(self.headers.get("Range", "bytes=0-")[6:-1]))
        owner.asked.append(asked)
        if owner.refusals:
            self.answer_briefly(owner.refusals.pop(0))
        elif path not in owner.content:
            self.answer_briefly(404)
        else:
            found = owner.content[path]
            self.answer(found if isinstance(found, bytes) else found.read_bytes(), asked)

    def answer_briefly(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, data: bytes, asked: Asked) -> None:
        start = asked.start if self.owner.ranges else 0
        if start and start >= len(data):
            self.answer_briefly(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        whole = len(body)
        if self.owner.cuts:
            body = body[: self.owner.cuts.pop(0)]
        for at in range(0, len(body), 1 << 16):
            part = body[at : at + (1 << 16)]
            asked.sent += len(part)  # before, or who has it all would see it counted short
            self.wfile.write(part)
            time.sleep(self.owner.pause_s)
        if len(body) < whole:
            self.close_connection = True
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[PublicServer]:
    """A server while the block runs."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.owner = PublicServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield handler.owner
    finally:
        server.shutdown()
        server.server_close()
