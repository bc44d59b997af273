"""What a plane's etcd holds, read and put back as it was, under a running API server.

An API server keeps everything that it knows in etcd and follows it by watches, and so does every controller through the API
server: keys that are put back are objects that came back, with their UIDs, without finalizers or policies in between. What the
servers write for themselves all the time (renewals, events, allocations, the controllers' own accounts) is left alone: Events
of claims that are gone are still there for the next who asks.
"""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_ROOT, _END = b"/registry/", b"/registry0"
_THEIRS: Final = (
    b"/registry/events/", b"/registry/masterleases/", b"/registry/ranges/", b"/registry/health",
    b"/registry/leases/kube-system/",
)  # fmt: skip
_NAMESPACES: Final = b"/registry/namespaces/"
_ACCOUNTS: Final = b"/registry/serviceaccounts/"
_CONTROLLERS: Final = _ACCOUNTS + b"kube-system/"
"""Each controller makes itself an account there when it starts, the last ones seconds later than the first."""
_PAGE: Final = 500
_STILL_SECONDS: Final = 0.15
"""So long nothing may change after the last write, or somebody still works on what was there."""
_SETTLED_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 60.0


class NotReset(AssertionError):
    """A plane doesn't come to rest as it was."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that a plane held."""

    values: dict[bytes, bytes]

    def without(self, *keys: bytes) -> "Snapshot":
        """Return it without some keys."""
        return Snapshot({k: v for k, v in self.values.items() if k not in keys})

    @property
    def is_complete(self) -> bool:
        """Say whether there are namespaces, and each has what controllers put into all of them."""
        namespaces = [k.removeprefix(_NAMESPACES) for k in self.values if k.startswith(_NAMESPACES)]
        made = (_ACCOUNTS + b"%s/default", b"/registry/configmaps/%s/kube-root-ca.crt")
        return bool(namespaces) and all(
            m % name in self.values for name in namespaces for m in made
        )


class Store:
    """One plane's etcd."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._known: dict[bytes, tuple[int, bytes]] = {}  # key -> revision, value

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def read(self) -> Snapshot:
        """Return what it holds; values that were read before are not asked for again."""
        revisions: dict[bytes, int] = {}
        for each in self._pages(keys_only=bool(self._known)):
            key, revision = _bytes(each["key"]), int(each["mod_revision"])
            if _is_theirs(key):
                continue
            revisions[key] = revision
            if self._known.get(key, (0, b""))[0] != revision:
                value = _bytes(each["value"]) if "value" in each else self._value(key)
                self._known[key] = (revision, value)
        return Snapshot({key: self._known[key][1] for key in revisions})

    def read_settled(self) -> Snapshot:
        """Return what it holds once the controllers are done with every namespace and nobody changes it any more. NotReset."""
        deadline, before = time.monotonic() + _LONGEST_SECONDS, self.read()
        while time.monotonic() < deadline:
            time.sleep(_SETTLED_SECONDS)
            now = self.read()
            if now == before and now.is_complete:
                return now
            before = now
        raise NotReset(f"{self._connection.port}: it doesn't come to rest")

    def reset(self, snapshot: Snapshot) -> bool:
        """Put everything back, and wait until it stays so; return whether anything was otherwise. NotReset."""
        changed, deadline = False, time.monotonic() + _LONGEST_SECONDS
        while wrong := self._differences(snapshot):
            changed = True
            if time.monotonic() > deadline:
                raise NotReset(
                    f"{self._connection.port}: {sorted(wrong)[:5]} don't stay as they were"
                )
            for key in wrong:
                value = snapshot.values.get(key)
                if value is None:
                    self._ask("deleterange", key=_text(key))
                else:
                    self._ask("put", key=_text(key), value=_text(value))
            time.sleep(_STILL_SECONDS)
        return changed

    def _differences(self, snapshot: Snapshot) -> set[bytes]:
        now = self.read().values
        return {
            k for k in now.keys() | snapshot.values.keys() if now.get(k) != snapshot.values.get(k)
        }

    def _pages(self, *, keys_only: bool) -> Iterator[dict[str, Any]]:
        begin = _ROOT
        while True:
            page = self._ask(
                "range", key=_text(begin), range_end=_text(_END), limit=_PAGE, keys_only=keys_only
            )
            yield from page.get("kvs", ())
            if not page.get("more"):
                return
            begin = _bytes(page["kvs"][-1]["key"]) + b"\0"

    def _value(self, key: bytes) -> bytes:
        (found,) = self._ask("range", key=_text(key)).get("kvs") or ({},)
        return _bytes(found.get("value", ""))

    def _ask(self, what: str, **body: Any) -> dict[str, Any]:
        """Ask etcd's gateway, which speaks JSON."""
        self._connection.request("POST", f"/v3/kv/{what}", json.dumps(body))
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == http.HTTPStatus.OK, f"etcd {what}: {text[:200]!r}"
        return dict(json.loads(text))


def _is_theirs(key: bytes) -> bool:
    return key.startswith(_THEIRS) or (
        key.startswith(_CONTROLLERS) and key != _CONTROLLERS + b"default"
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
