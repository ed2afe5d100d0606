"""Runs a proxy in front of an S3 server that makes it behave like other stores."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

# (method, path with query, headers) -> (status, S3 error code) to respond with, None to forward the request
Rule = Callable[[str, str, dict[str, str]], tuple[int, str] | None]
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"}


@dataclass
class S3Proxy:
    url: str
    rules: list[Rule] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def asked(self, method: str, part: str) -> int:
        """Counts the requests with that method whose path contains that text."""
        return sum(method == verb and part in path for verb, path, _ in self.seen)


@contextmanager
def proxy(target: str):
    """Runs a proxy in front of `target` on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            running.seen.append((self.command, self.path, headers))
            for rule in running.rules:
                if refusal := rule(self.command, self.path, headers):
                    self._answer(refusal[0], {}, f"<Error><Code>{refusal[1]}</Code></Error>".encode())
                    return
            answer = httpx.request(self.command, target + self.path, headers=dict(self.headers), content=body)
            kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
            size = answer.headers.get("content-length") if self.command == "HEAD" else None
            self._answer(answer.status_code, kept, answer.content, size)

        def _answer(self, status: int, headers: dict[str, str], body: bytes, size: str | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", size or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the standard library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = S3Proxy(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
