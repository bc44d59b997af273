"""What commands read of the hub: one object that can't be read ends nothing for the others."""

from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS, LEASES
from sublet.cli.objects import PAGE_SIZE, list_all
from sublet.kube.lists import ListPage
from tests.builders.api import as_claim, claim, uid_of
from tests.builders.restored import on_the_wire
from tests.builders.wire import page


async def test_an_object_that_cant_be_read_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
):
    good, odd = on_the_wire(as_claim(claim("good"))), on_the_wire(as_claim(claim("odd")))
    odd["spec"]["schedule"] = {"startTime": "2026-12-01T00:00:00x5Z"}

    class Hub:
        async def list_page(self, *_: Any, **__: Any) -> ListPage:
            return page(odd, good)

    hub: Any = Hub()
    found = await list_all(hub, CLAIMS, GpuClaim)

    assert [each.metadata.name for each in found] == ["good"]
    said = capsys.readouterr().err
    assert said.startswith("sublet: GpuClaim acme/odd is left out: spec.schedule.startTime")


@pytest.mark.parametrize("command", [("get", "claims", "-A"), ("top",), ("top", "-o", "json")])
def test_however_many_there_are_no_answer_has_more_than_a_page(person, hub, command):
    """A tenant may make each of its claims as large as the hub takes: in one answer they would be too much."""
    names = [f"claim-{n}" for n in range(2 * PAGE_SIZE + 1)]
    for name in names:
        hub.put(claim(name))

    status, out, _ = person.run(*command)

    asked = [query for _, path, query in hub.requests if path == CLAIMS.path()]
    assert status == 0
    assert all(f"{name} " in out or f'"{name}"' in out for name in names)
    assert [query["limit"] for query in asked] == [str(PAGE_SIZE)] * 3


@pytest.mark.parametrize(
    "answer",
    [{}, {"items": []}, {"metadata": {}, "items": [{}]}, {"metadata": {}, "items": [{"metadata": {}}]}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("command", ["verify", "doctor", "doctor west", "get leases", "get leases west", "explain west"])  # fmt: skip
def test_an_address_that_isnt_an_api_servers_is_said_and_no_empty_hub(person, hub, answer, command):
    for path in (LEASES.path(), LEASES.path(name="west"), CLAIMS.path("acme", "west")):
        hub.objects[path] = answer

    status, out, err = person.run(*command.split())

    assert (status, out) == (2 if command == "verify" else 1, "")
    assert "the hub is asked in vain: " in err
    assert "is its address right" in err


def test_a_backup_is_taken_in_pages_too(person, hub, tmp_path):
    for name in ("kube-system", "acme"):
        found = {"metadata": {"name": name, "uid": uid_of(name)}}
        hub.objects[f"/api/v1/namespaces/{name}"] = found
    for n in range(PAGE_SIZE + 1):
        hub.put(claim(f"claim-{n}"))

    status, out, _ = person.run("backup", "--without-ledger", tmp_path / "all")

    lists = [query for _, path, query in hub.requests if path.startswith("/apis/sublet.dev/")]
    assert status == 0
    assert f"{PAGE_SIZE + 1} objects saved" in out
    assert all(query["limit"] == str(PAGE_SIZE) for query in lists)
