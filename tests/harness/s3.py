"""A real server that speaks S3, on loopback, with one bucket; it can refuse credentials and go away."""

import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.harness.apart import find
from tests.harness.waiting import wait_for

BUCKET = "finance"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "export", "AWS_SECRET_ACCESS_KEY": "very-secret"}


class S3Server:
    """The server's process; it forgets everything when it ends."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "s3.log").open("wb")
        self._process = subprocess.Popen(
            [find("s3", "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)],
            # so many requests are let through before credentials are looked at
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
            stdout=self._log,
            stderr=self._log,
        )
        wait_for("the S3 server answers", self._answers)
        self._ask("PUT", f"/{BUCKET}")

    def refuse(self) -> None:
        """Know no credentials from now on."""
        self._ask("POST", "/moto-api/reset-auth", b"0")

    def accept(self) -> None:
        """Let everybody in again."""
        self._ask("POST", "/moto-api/reset-auth", b"1000000")

    def names(self) -> set[str]:
        """Return the names of all objects."""
        text = self._ask("GET", f"/{BUCKET}?list-type=2").decode()
        return {part.split("</Key>")[0] for part in text.split("<Key>")[1:]}

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the S3 server ended"
        try:
            self._ask("GET", "/moto-api/")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        asked = urllib.request.Request(
            self.url + path, data, {"Content-Type": "text/plain"}, method=method
        )
        with urllib.request.urlopen(asked) as answer:
            body: bytes = answer.read()
            return body
