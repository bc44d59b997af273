"""A bucket on a real server: kept, refused, away, cut off in the middle. Never half an export."""

import json
import re
import socket
import threading

import pytest
from typer.testing import CliRunner

from sublet.cli.main import app
from sublet.export.focus.run import Layout, export_tenant
from sublet.export.schedule.job import Job, Task
from sublet.export.schedule.worker import perform
from sublet.export.sink.bucket import Bucket
from sublet.export.sink.port import SinkFailed
from tests.builders.charges import END, account, books, charge, everything
from tests.builders.sold_month import database
from tests.harness.s3 import BUCKET, CREDENTIALS, S3Server

FOLDER = "tenants/acme/2026-09/focus-1.4"
BOTH = Layout(formats=("parquet", "csv"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return a server that is ended with the module."""
    made = S3Server(tmp_path_factory.mktemp("s3"))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    """Give the credentials as the environment does."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def bucket(url, spool, name=BUCKET):
    """Return a sink that gives up soon, with a prefix of the test's own: what breaks off leaves its files."""
    return Bucket(name, prefix=spool.name, endpoint=url, retry_seconds=1, spool=spool)


def export(sink, charges=None):
    """Write acme's files."""
    given = everything() if charges is None else charges
    return export_tenant(sink, books(), account(), given, BOTH)


def manifest(sink):
    """Return what the stored manifest says."""
    return json.loads(sink.read(f"{FOLDER}/manifest.json"))


def names(server, spool):
    """Return the names under a test's own prefix, without it."""
    return {
        n.removeprefix(f"{spool.name}/") for n in server.names() if n.startswith(f"{spool.name}/")
    }


def whole(sink):
    """Say whether every file that the manifest names is there as it was written."""
    files = {f["name"]: f["bytes"] for f in manifest(sink)["files"]}
    return all(len(sink.read(f"{FOLDER}/{name}") or b"") == size for name, size in files.items())


def plain(error):
    """Return an error's text, if it is one line without credentials."""
    text = str(error.value)
    assert "\n" not in text
    assert not [v for v in CREDENTIALS.values() if v in text.replace("export/", "")]
    return text


def test_an_export_stands_in_the_bucket_and_leaves_only_its_new_files(server, tmp_path):
    sink = bucket(server.url, tmp_path)
    export(sink, [charge(0)])
    made = export(sink)
    assert json.loads(made.text) == manifest(sink)
    named = {f"{FOLDER}/{f.name}" for f in made.files}
    assert names(server, tmp_path) == {*named, f"{FOLDER}/manifest.json"}
    assert whole(sink)
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_refuses_is_one_plain_line_and_changes_nothing(server, tmp_path):
    sink = bucket(server.url, tmp_path)
    export(sink, [charge(0)])
    before, said = names(server, tmp_path), manifest(sink)
    server.refuse()
    try:
        with pytest.raises(SinkFailed) as error:
            export(sink)
    finally:
        server.accept()
    assert re.fullmatch(r"bucket finance at http://\S+ refuses: \S+ can't be read; are the credentials right, and may they write there\?", plain(error))  # fmt: skip
    assert (names(server, tmp_path), manifest(sink)) == (before, said)
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_not_there_is_said(server, tmp_path):
    with pytest.raises(SinkFailed, match="bucket nowhere at"):
        export(bucket(server.url, tmp_path, "nowhere"))


def test_a_server_that_is_away_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SinkFailed) as error:
        export(bucket(url, tmp_path))
    assert "can't be read: Generic S3 error: Error performing GET" in plain(error)
    assert list(tmp_path.iterdir()) == []


class Cutting:
    """A way to the server that breaks in the middle of each upload, once so many have come through."""

    def __init__(self, port: int, uploads: int) -> None:
        self._left, self._port = uploads, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", self._port)) as far:
                self._one(near, far)

    def _one(self, near: socket.socket, far: socket.socket) -> None:
        """Pass one connection on, request by request."""
        while head := _head(near):
            length = int((re.search(rb"content-length: (\d+)", head, re.IGNORECASE) or [0, 0])[1])
            if head.startswith(b"PUT"):
                if self._left == 0:
                    far.sendall(head + near.recv(length // 2))
                    return
                self._left -= 1
            far.sendall(head + _exactly(near, length))
            answer = _head(far)
            size = int((re.search(rb"content-length: (\d+)", answer, re.IGNORECASE) or [0, 0])[1])
            near.sendall(answer + _exactly(far, size))


def _head(side: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = side.recv(1)
        if not byte:
            return b""
        data += byte
    return data


def _exactly(side: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += side.recv(size - len(data))
    return data


@pytest.mark.parametrize("uploads", [0, 3, 7])
def test_wherever_uploads_break_the_old_export_is_whole_and_the_next_leaves_only_its_own_files(
    server, tmp_path, uploads
):
    sink = bucket(server.url, tmp_path)
    export(sink, [charge(0)])
    said = manifest(sink)
    way = Cutting(server.port, uploads)
    try:
        with pytest.raises(SinkFailed) as error:
            export(bucket(way.url, tmp_path))
    finally:
        way.stop()
    assert "was not written" in plain(error)
    assert manifest(sink) == said
    assert whole(sink)

    made = export(sink, [charge(1)])
    named = {f"{FOLDER}/{f.name}" for f in made.files}
    assert names(server, tmp_path) == {*named, f"{FOLDER}/manifest.json"}
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_says_in_one_line_that_a_bucket_refuses_and_exports_when_it_doesnt(
    server, tmp_path
):
    given = ["export", "focus", "--month", "2026-09", "--to", f"s3://{BUCKET}/cli", "--endpoint", server.url]  # fmt: skip
    environment = {"SUBLET_DATABASE_URL": database(tmp_path), "SUBLET_EXPORT_SELLER": "Sublet GmbH"}

    server.refuse()
    refused = CliRunner().invoke(app, given, env=environment)
    server.accept()
    done = CliRunner().invoke(app, given, env=environment)

    assert (refused.exit_code, len(refused.output.splitlines())) == (1, 1)
    assert "refuses: " in refused.output
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in refused.output
    assert done.exit_code == 0, done.output
    assert "cli/tenants/acme/2026-09/focus-1.4/manifest.json" in server.names()


def test_the_schedule_says_that_a_bucket_refuses_and_makes_the_same_when_it_doesnt(server, tmp_path):  # fmt: skip
    task = Task(
        database=database(tmp_path),
        target=f"s3://{BUCKET}/own",
        endpoint=server.url,
        region="",
        seller="Sublet GmbH",
        version="1.4",
        formats=("csv",),
        grid="day",
        shows_host=False,
    )
    job = Job(END, 17, is_daily=True)

    server.refuse()
    refused = list(perform(task, job))
    server.accept()
    done = list(perform(task, job))

    assert [fault.what for fault in refused] == ["the target"]
    assert {each.name for each in done} >= {"tenant/acme 2026-09", "wholesale 2026-09"}
    assert "own/wholesale/2026-09/focus-1.4/manifest.json" in server.names()
