"""A headless Chromium that tests open pages in, driven through chromedriver over W3C WebDriver.

A client of our own and not Selenium: what the tests need are six requests of a protocol that is plain JSON over HTTP, while
Selenium brings ten packages, a WebSocket stack among them, and a program that fetches browsers by itself. Whatever a
person's settings change (a dark screen, a phone, no script) is asked of the browser itself over its own protocol, which chromedriver
passes on.
"""

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.harness.chromium import find_chromium
from tests.planes.plane import die_with_parent

Json = dict[str, Any]
_SECONDS: Final = 60.0
_STARTED: Final = re.compile(r"started successfully on port (\d+)")
EVIL_HOST: Final = "evil.example"
_ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",  # tests run as root in containers, and open nothing but our own pages
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",  # which ends the browser when its driver ends, however that does
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    # no name but one leads anywhere, and that one here, as an attacker's own name server would have it
    f"--host-resolver-rules=MAP {EVIL_HOST} 127.0.0.1,MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
)
KEYS: Final = MappingProxyType({"Tab": "\ue004", "Shift": "\ue008", "Enter": "\ue007", "Space": " ", "Right": "\ue014", "Escape": "\ue00c"})  # fmt: skip


class Browser:
    """One browser with one window; close it."""

    def __init__(self) -> None:
        chromium, driver = find_chromium()
        self._driver = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  it calls the kernel alone
        )  # fmt: skip
        self._session = ""
        try:
            self._base = f"http://127.0.0.1:{self._port()}/session"
            options = {"binary": chromium, "args": list(_ARGUMENTS)}
            logged = {"browser": "ALL", "performance": "ALL"}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logged}
            made = self._send("POST", "", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/{made['sessionId']}"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the browser and its driver."""
        if self._session:
            self._send("DELETE", "", {})
            self._session = ""
        self._driver.terminate()
        self._driver.communicate(timeout=_SECONDS)

    def open(self, url: str) -> None:
        """Show a page; returns once it is loaded."""
        self._send("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a function body returns in the page; elements aren't returned."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Be in the page's only frame for the length of the block."""
        self._send("POST", "/frame", {"id": 0})
        try:
            yield
        finally:
            self._send("POST", "/frame", {"id": None})

    def press(self, *keys: str, times: int = 1) -> None:
        """Press keys together, as a person does: names from `KEYS`, or characters."""
        pressed = [KEYS.get(key, key) for key in keys]
        down = [{"type": "keyDown", "value": key} for key in pressed]
        up = [{"type": "keyUp", "value": key} for key in reversed(pressed)]
        board = {"type": "key", "id": "board", "actions": [*down, *up] * times}
        self._send("POST", "/actions", {"actions": [board]})

    def ask(self, method: str, **params: Any) -> Json:
        """Ask the browser itself, in the words of the Chrome DevTools Protocol."""
        answer: Json = self._send("POST", "/goog/cdp/execute", {"cmd": method, "params": params})
        return answer

    def screen(self, width: int, height: int = 800, *, dark: bool = False, sharp: int = 1) -> None:
        """Be a screen of so many CSS pixels."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=sharp, mobile=False)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what is to be seen as a PNG; the `whole` page or what fits the screen."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **(self._all() if whole else {}))  # fmt: skip
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Return what the console said since it was last asked."""
        return [line["message"] for line in self._log("browser")]

    def requests(self) -> list[str]:
        """Return the URLs that were asked for since this was last asked; what the page's own policy stopped never went out."""
        asked: dict[str, str] = {}  # request -> URL
        for line in self._log("performance"):
            message = json.loads(line["message"])["message"]
            params = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                asked[params["requestId"]] = params["request"]["url"]
            elif params.get("blockedReason") == "csp":
                asked.pop(params["requestId"])
        return list(asked.values())

    def _all(self) -> Json:
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}}

    def _log(self, kind: str) -> list[Json]:
        lines: list[Json] = self._send("POST", "/se/log", {"type": kind})
        return lines

    def _port(self) -> int:
        assert self._driver.stdout is not None
        said = ""
        for line in self._driver.stdout:
            said += line
            if found := _STARTED.search(line):
                return int(found[1])
        raise AssertionError(f"chromedriver didn't start: {said.strip()}")

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(
            self._base + self._session + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise AssertionError(f"{method} {path}: {said['message'].splitlines()[0]}") from None
