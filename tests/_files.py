"""Files in folders and from a small server: by their content."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def contents(folder):
    """Bytes by path below the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Server(ThreadingHTTPServer):
    """Answers with `files` by path; a number is a status, text a redirect; counts what it was asked."""

    def __init__(self, files):
        self.files, self.asked = files, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path.partition("?")[0])
        found = self.server.files.get(self.path.partition("?")[0], 404)
        if isinstance(found, bytes):
            self.send_response(200)
            if "endless" not in self.path:
                self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)
        else:
            self.send_response(302 if isinstance(found, str) else found)
            if isinstance(found, str):
                self.send_header("Location", found)
            self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def served(files) -> Iterator[Server]:
    """A server of these files, until the block ends."""
    found = Server(files)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.shutdown()
        found.server_close()
        thread.join()
