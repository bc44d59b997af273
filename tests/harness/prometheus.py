"""A real Prometheus that scrapes one target on loopback, and promtool."""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.harness.waiting import wait_for
from tests.planes.binaries import find


class PrometheusServer:
    """The server's process; it forgets everything when its folder goes."""

    def __init__(self, folder: Path, target: str, token: str, *rules: Path) -> None:
        """Scrape targets, separated by blanks."""
        self._url = f"http://127.0.0.1:{_free_port()}"
        config = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": "sublet",
                    "authorization": {"type": "Bearer", "credentials": token},
                    "static_configs": [{"targets": target.split()}],
                }
            ],
        }
        path = folder / "prometheus.json"  # JSON is YAML too
        path.write_text(json.dumps(config))
        self._log = (folder / "prometheus.log").open("wb")
        command = [
            find("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={self._url.removeprefix('http://')}", "--log.level=warn",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        wait_for("Prometheus answers", self._answers)

    def query(self, text: str) -> list[tuple[dict[str, str], float]]:
        """Return (labels, value) of an instant query."""
        found = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": text}))
        return [(x["metric"], float(x["value"][1])) for x in found["result"]]

    def history(self, text: str) -> list[tuple[dict[str, str], list[float]]]:
        """Return (labels, values in the order of time) of a range."""
        found = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": text}))
        return [(x["metric"], [float(v) for _, v in x["values"]]) for x in found["result"]]

    def targets(self) -> list[dict[str, Any]]:
        """Return the targets that are scraped, with their health."""
        found: list[dict[str, Any]] = self._get("/api/v1/targets")["activeTargets"]
        return found

    def stop(self) -> None:
        """End the process."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "Prometheus ended"
        try:
            with urllib.request.urlopen(self._url + "/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self._url + path, timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data


def promtool(*args: str | Path, given: bytes = b"") -> str:
    """Return what promtool says; AssertionError if it isn't content."""
    ran = subprocess.run(
        [find("promtool"), *args], input=given, capture_output=True, check=False, timeout=120
    )
    said = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == 0, said
    return said


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
