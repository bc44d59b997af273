"""One lease's trouble hides no other's, and a list without an end has one."""

from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sublet.cli.onboarding import doctor
from sublet.cli.onboarding.pages import Page, read_all
from sublet.kube.errors import BadAnswer, Forbidden, NotFound
from sublet.kube.wire import Node
from tests.builders.api import lease, uid_of

OWN = lease("hub-own", clusterRef={"inCluster": {}})
ODD = lease("odd", term={"startTime": "2026-12-01T00:00:00x5Z"})


class Hub:
    """A hub with some leases and no credential of any."""

    title = "the hub"

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = [{**x, "metadata": {**x["metadata"], "uid": uid_of("x")}} for x in items]

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        if path.endswith("gpuleases"):
            return {"items": self.items}
        if "kube-system" in path:
            return {"metadata": {"uid": uid_of("hub")}}
        raise NotFound(404, "NotFound", path)

    async def get_as(self, path: str, type_: Any, **_: str) -> Any:
        return msgspec.convert(await self.get(path), type_)

    async def create(self, path: str, *_: Any, **__: Any) -> Any:
        raise Forbidden(403, "Forbidden", f"you can't create {path}")


@pytest.mark.parametrize(("troubled", "words"), [(OWN, "no credential"), (ODD, "can't read it")])
async def test_one_leases_trouble_hides_no_others(
    troubled: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    @asynccontextmanager
    async def connect(*_: Any):
        yield Hub(troubled, lease("west"))

    monkeypatch.setattr(doctor, "connect", connect)

    assert not await doctor.diagnose_all(None, hub_context=None, namespace="sublet-system")
    said = capsys.readouterr().out
    assert words in said
    assert "lease west\n" in said
    assert "isn't on the hub" in said


async def test_a_list_that_has_no_end_isnt_believed():
    class Endless:
        async def get_as(self, _: str, type_: Any, **__: str) -> Any:
            return msgspec.json.decode(
                b'{"metadata": {"continue": "more"}, "items": []}', type=type_
            )

    endless: Any = Endless()
    with pytest.raises(BadAnswer, match="no end"):
        await read_all(endless, "/api/v1/nodes", Page[Node])
