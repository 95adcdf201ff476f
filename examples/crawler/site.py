"""A small site with two broken links, on this machine."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGES = {
    "/": ["/guide", "/blog", "/about", "https://elsewhere.example/"],
    "/guide": ["/guide/steps", "/guide/time", "/guide#top"],
    "/guide/steps": ["/guide", "/gone"],
    "/guide/time": ["/guide/steps", "/busy"],
    "/blog": ["/blog/1", "/blog/2"],
    "/blog/1": ["/blog/2"],
    "/blog/2": ["/blog/1", "/gone"],
    "/about": ["/"],
}


class Site(BaseHTTPRequestHandler):
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        status = 503 if self.path == "/busy" else 200 if self.path in PAGES else 404
        body = "".join(f'<a href="{link}">more</a>' for link in PAGES.get(self.path, ())).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(delay: float = 0.0) -> Generator[str]:
    """The address of the site, which answers after so many seconds."""
    handler = type("SlowSite", (Site,), {"delay": delay})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
