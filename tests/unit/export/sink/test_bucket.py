"""A bucket on a server that knows the plain requests alone; on whole servers the integration tests try it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sublet.export.sink.bucket import Bucket


class Plain(BaseHTTPRequestHandler):
    """Deletes an object by DELETE, and says of one that is gone that it isn't there; knows no other request."""

    there: set[str]

    def do_DELETE(self) -> None:
        status = 204 if self.path in self.there else 404
        self.there.discard(self.path)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    Plain.there = {"/finance/bill"}
    with HTTPServer(("127.0.0.1", 0), Plain) as made:
        serving = threading.Thread(target=made.serve_forever)
        serving.start()
        yield made
        made.shutdown()
        serving.join()


def test_an_object_is_deleted_by_the_plain_request_and_one_that_is_gone_is_no_error(server):
    sink = Bucket("finance", endpoint=f"http://127.0.0.1:{server.server_port}", retry_seconds=0.5)

    sink.remove("bill")
    assert Plain.there == set()
    sink.remove("bill")
