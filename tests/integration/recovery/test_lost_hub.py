"""The hub is lost: its objects come back from a backup onto an empty one, and everything goes on as it was."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sublet.api.origin import RESTORED
from sublet.cli.connect import Cluster
from sublet.cli.keeping import adopt as adopting
from sublet.cli.keeping.archive import from_text, to_text
from sublet.kube.hub import hub_endpoint
from sublet.ledger.entry import EntryKind, EntryType
from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.secrets import leaks, places, tokens_of
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, condition, start_stack
from tests.harness.tenants import pod, write_access
from tests.harness.waiting import stays, wait_for
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(300)]

ACME = "acme"
CLAIMS = ("whole", "part", "later", "gone")


class World:
    """A hub that will be lost, the one that takes its place, and the leased cluster of both."""

    def __init__(self, old: Stack, folder: Path) -> None:
        self.old, self.new = old, old
        self.folder = folder
        self.operator = OperatorProcess(old).start()
        self.database = self.operator.database
        self.uids: dict[str, str] = {}
        self.books: dict[str, str] = {}
        self.pods: dict[str, str] = {}

    @property
    def file(self) -> Path:
        return self.folder / "hub.backup"

    def look(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return west's books, and its tenants' pods by UID."""
        found = self.old.get("west", "pods", "-A", "-l", "run")["items"]
        pods = {p["metadata"]["name"]: p["metadata"]["uid"] for p in found}
        return self.old.books("west"), pods

    def admin(self) -> tuple[str, str]:
        return ("--admin", f"http://127.0.0.1:{self.operator.port('admin')}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    stacks = [start_stack(f"lost-{os.getpid()}", leased=("west",))]
    made: World | None = None
    try:
        made = _live(stacks[0], tmp_path_factory.mktemp("lost"))
        made.operator.kill()  # and with it the hub
        stacks.append(start_stack(f"found-{os.getpid()}", leased=()))
        made.new = stacks[1]
        west = "west.kubeconfig"
        shutil.copy(made.old.folder / west, made.new.folder / west)
        made.operator = OperatorProcess(made.new, SUBLET_DATABASE_URL=made.database).start()
        yield made
    finally:
        if made is not None:
            made.operator.kill()
        for stack in stacks:
            stack.stop()


def _live(stack: Stack, folder: Path) -> World:
    """Let claims be bound, one with a pod, one promised ahead; back up; let one go that the backup has.

    The backup has `part` as it was a moment before it was bound.
    """
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(4)))
    stack.apply("hub", lease("west", committed=32), gpu_class(), tenant())
    world = World(stack, folder)
    ahead = {"schedule": {"startTime": "2036-01-01T00:00:00Z", "durationSeconds": 3600}}
    stack.apply(
        "hub",
        claim("whole", ACME),
        claim("part", ACME, gpus=2),
        claim("gone", ACME),
        claim("later", ACME, **ahead),
    )
    for name in ("whole", "part", "gone"):
        wait_for(f"{name} bound", lambda n=name: stack.is_bound(ACME, n))
    wait_for("promised", lambda: _says(stack, "later", "Ready", "reason") == "WaitingForStart")
    whole = stack.claim(ACME, "whole")
    assert whole is not None
    home = f"sublet-{whole['metadata']['uid']}-1"
    stack.kubectl("west", "-n", home, "apply", "-f", "-", given=_pod())
    wait_for("the pod runs", lambda: stack.get("west", "pod", "-n", home, "work")["status"].get("phase") == "Running")  # fmt: skip
    world.uids = {n: stack.claim(ACME, n)["metadata"]["uid"] for n in CLAIMS}
    saved = Program(stack).works("backup", str(world.file), "--with-credentials", *world.admin())
    assert "with 1 credential of leased clusters: keep it as you keep those" in saved.said
    archive = from_text(world.file.read_text())
    objects = (_being_bound(o) if o["metadata"]["name"] == "part" else o for o in archive.objects)
    world.file.write_text(to_text(replace(archive, objects=tuple(objects))))
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "gone", "--timeout=60s")
    world.books, world.pods = world.look()
    return world


def _being_bound(saved: dict[str, Any]) -> dict[str, Any]:
    status = {k: v for k, v in saved["status"].items() if k != "access"}
    allocation = {k: v for k, v in status["allocation"].items() if k != "boundTime"}
    binding = {"status": "False", "reason": "Binding"}
    conditions = [c | (binding if c["type"] in ("Ready", "Bound") else {}) for c in status["conditions"]]  # fmt: skip
    return {**saved, "status": {**status, "allocation": allocation, "conditions": conditions}}


def _pod() -> str:
    return pod("work", gpus=8).replace("name: work\n", "name: work\n  labels: {run: work}\n", 1)


def _says(stack: Stack, name: str, type_: str, field: str = "status") -> str | None:
    found = stack.claim(ACME, name)
    return condition(found, type_, field) if found else None


def test_a_lost_hub_comes_back_and_goes_on_as_it_was(world: World, tmp_path: Path):
    _restored_twice_is_restored_once(world)
    _what_is_restored_is_held(world)
    _what_has_no_status_yet_is_held_and_can_be_deleted(world)
    _a_yes_to_another_map_is_refused(world)
    _adoption_goes_on_where_it_was_interrupted(world)
    _everything_is_bound_as_before(world, tmp_path)
    _the_bill_goes_on_under_the_old_uid(world)
    _nothing_is_sold_twice(world)
    _no_token_shows_anywhere(world)


def _restored_twice_is_restored_once(world: World) -> None:
    sublet = Program(world.new)
    order = ("restore", str(world.file), *world.admin())

    dry = sublet.works(*order, "--dry-run")
    assert "the ledger goes on from the backup" in dry.said
    assert not (world.new.get("hub", "gpuleases") or {}).get("items")
    assert "7 objects written" in sublet.works(*order).said
    assert "0 objects written" in sublet.works(*order).said


def _what_is_restored_is_held(world: World) -> None:
    world.new.apply("hub", claim("newcomer", ACME))
    before = world.new.get("hub", "gpuclaim", "-n", ACME, "whole")["metadata"]["resourceVersion"]

    def is_held() -> bool:
        whole = world.new.get("hub", "gpuclaim", "-n", ACME, "whole")["metadata"]
        return bool(whole["resourceVersion"] == before and RESTORED in whole["annotations"])

    stays("held", is_held, seconds=3)
    assert _says(world.new, "whole", "Adopted", "reason") == "AwaitingAdoption"
    assert world.look() == (world.books, world.pods)
    assert not world.new.is_bound(ACME, "newcomer")


def _what_has_no_status_yet_is_held_and_can_be_deleted(world: World) -> None:
    """A restore that ends after it made a claim, before its status."""
    made = claim("newborn", ACME)
    made["metadata"]["annotations"] = {RESTORED: uid_of("before")}
    world.new.apply("hub", made)

    stays("untold", lambda: _says(world.new, "newborn", "Ready", "reason") == "WaitingForOperator", seconds=3)  # fmt: skip
    world.new.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "newborn", "--timeout=60s")


def _a_yes_to_another_map_is_refused(world: World) -> None:
    said = Program(world.new).refuses("adopt", "--yes", "0123456789ab", *world.admin())

    assert "the map isn't the one with digest 0123456789ab" in said


def _adoption_goes_on_where_it_was_interrupted(world: World) -> None:
    shown = Program(world.new).works("adopt", "--map", *world.admin())
    lines = {line.split()[1]: line for line in shown.said.splitlines() if line.startswith("Gpu")}
    assert f"{world.uids['whole']}" in lines["acme/whole"]
    assert "1 of 1 node holds it" in lines["acme/whole"]
    assert "released after the backup" in lines["acme/gone"]
    assert "4 nodes carry its mark" in lines["west"]

    asyncio.run(_adopt_some(world, 1))
    again = Program(world.new).works("adopt", "--map", *world.admin()).said
    assert sum(line.endswith("done") for line in again.splitlines()) == 1
    digest = again.strip().rsplit(maxsplit=1)[-1]
    assert "5 objects adopted" in Program(world.new).works("adopt", "--yes", digest, *world.admin()).said  # fmt: skip


async def _adopt_some(world: World, count: int) -> None:
    """Adopt so many objects and be gone."""
    endpoint = await hub_endpoint(kubeconfig=str(world.new.running.kubeconfig("hub")))
    async with Cluster(endpoint, "the hub") as hub:
        rows, *_ = await adopting.read_map(hub, SYSTEM)
        for row in rows[:count]:
            await adopting.adopt(hub, row, adopting.Word("ann", row.item.metadata.creation_timestamp or 0))  # fmt: skip


def _everything_is_bound_as_before(world: World, tmp_path: Path) -> None:
    def has_access(name: str) -> Any:
        return world.new.get("hub", "secret", "-n", ACME, f"{name}-kubeconfig")

    for name in ("whole", "part"):
        wait_for(f"{name}'s kubeconfig is made anew", lambda n=name: has_access(n))
        assert world.new.is_bound(ACME, name)
    whole = world.new.claim(ACME, "whole")
    assert whole is not None
    owner = has_access("whole")["metadata"]["ownerReferences"][0]
    assert owner["uid"] == whole["metadata"]["uid"] != world.uids["whole"]
    config = write_access(world.new, whole, tmp_path / "config")
    assert "work" in world.new.kubectl_with(config, "get", "pods", "-o", "name")
    wait_for("west sells again", lambda: condition(world.new.get("hub", "gpulease", "west"), "Ready") == "True")  # fmt: skip
    books, pods = world.look()
    assert pods == world.pods
    assert {n: b for n, b in world.books.items() if b}.items() <= books.items()
    assert _says(world.new, "later", "Ready", "reason") == "WaitingForStart"
    assert _says(world.new, "gone", "Ended") == "True"


def _the_bill_goes_on_under_the_old_uid(world: World) -> None:
    for name in ("whole", "part"):
        mine = [f for f in facts_in(world.database) if f.claim_uid == world.uids[name]]
        assert [(f.kind, f.type) for f in mine] == [(EntryKind.BOUND, EntryType.OPEN)]

    world.new.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "whole", "--timeout=60s")
    mine = [f for f in facts_in(world.database) if f.claim_uid == world.uids["whole"]]
    assert [(f.kind.value, f.type.value) for f in mine] == [
        ("bound", "open"),
        ("bound", "close"),
        ("releasing", "open"),
        ("releasing", "close"),
    ]
    gone = [f for f in facts_in(world.database) if f.claim_uid == world.uids["gone"]]
    assert len(gone) == 4


def _nothing_is_sold_twice(world: World) -> None:
    newcomer = wait_for("newcomer bound", lambda: world.new.is_bound(ACME, "newcomer"))
    uid = newcomer["metadata"]["uid"]
    books = world.old.books("west")
    assert sorted(b for b in books.values() if b) == sorted([f"{uid}=8", f"{world.uids['part']}=2"])


def _no_token_shows_anywhere(world: World) -> None:
    tokens = [*tokens_of(world.old), *tokens_of(world.new)]
    without = world.folder / "plain.backup"
    Program(world.new).works("backup", str(without), *world.admin())

    files = (without, world.operator.log, world.old.folder / "operator.log")
    for where, text in (*places(world.old), *places(world.new, *files)):
        assert leaks(text, tokens) == [], where
    assert leaks(world.operator.metrics_text(), tokens) == []
    assert leaks(json.dumps(json.loads(world.file.read_text())["credentials"]), tokens)


def test_two_backups_of_the_same_hub_differ_in_their_time_alone(world: World, tmp_path: Path):
    texts = []
    for name in ("a", "b"):
        Program(world.old).works("backup", str(tmp_path / name), "--without-ledger")
        found = json.loads((tmp_path / name).read_text())
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        texts.append({k: v for k, v in found.items() if k not in ("takenTime", "sha256")})

    assert texts[0] == texts[1]


def test_where_the_same_objects_are_there_only_older_ones_change_and_only_with_a_yes(
    world: World, tmp_path: Path
):
    """The old hub, as if its etcd had been restored: `part` is older than the backup says, `whole` newer.

    Between the two `part` was suspended, made larger and resumed: of what is reserved the server keeps the size.
    """
    sublet, file = Program(world.old), tmp_path / "backup"
    sublet.works("backup", str(file), "--without-ledger")
    archive = from_text(file.read_text())
    objects = [_larger(o) if o["metadata"]["name"] == "part" else o for o in archive.objects]
    file.write_text(to_text(replace(archive, objects=tuple(objects))))
    newer = ("--type=merge", "-p", '{"spec": {"tags": {"by": "hand"}}}')
    world.old.kubectl("hub", "patch", "gpuclaim", "-n", ACME, "whole", *newer)
    order = ("restore", str(file), "--without-ledger")

    assert "2 objects differing from the backup, and nothing was written" in sublet.refuses(*order)
    assert _spec(world.old, "part")["gpus"] == 2
    done = sublet.works(*order, "--yes")
    assert (
        "is there in a newer state, or nothing shows that it is older: it stays as it is"
        in done.said
    )
    assert "1 object written" in done.said
    assert _spec(world.old, "part")["gpus"] == 4
    assert _spec(world.old, "whole")["tags"] == {"by": "hand"}
    assert _says(world.old, "part", "Adopted", "reason") == "AwaitingAdoption"
    for type_ in ("Reserved", "Bound"):
        assert _says(world.old, "part", type_) == "True"


def _larger(saved: dict[str, Any]) -> dict[str, Any]:
    meta = {**saved["metadata"], "generation": saved["metadata"]["generation"] + 3}
    return {**saved, "metadata": meta, "spec": {**saved["spec"], "gpus": 4}}


def _spec(stack: Stack, name: str) -> dict[str, Any]:
    found = stack.claim(ACME, name)
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec
