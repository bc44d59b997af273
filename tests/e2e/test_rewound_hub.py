"""A hub whose etcd is restored from a backup: claims were bound, ended and made since, and nothing comes of that without a person's word."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.backup import back_up, restore, write_on
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition, start_stack
from tests.harness.verified import is_sound
from tests.harness.waiting import stays, wait_for
from tests.harness.wounds import patch
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(600)]

ACME = "acme"
ENDED = ("moved-out", "gone")
"""Claims that the backup has bound and that end after it; another comes to the node of one of them."""
RUNS = [("bound", "open")]
OVER = [("bound", "open"), ("bound", "close"), ("releasing", "open"), ("releasing", "close")]


@dataclass
class Scene:
    """A hub that went back, beside a leased cluster and a ledger that didn't."""

    stack: Stack
    operator: OperatorProcess
    file: Path
    uids: dict[str, str] = field(default_factory=dict)
    """claim -> UID"""
    books: dict[str, str] = field(default_factory=dict)
    """node -> its book, as it was when the hub went back"""

    @property
    def admin(self) -> tuple[str, str]:
        return ("--admin", f"http://127.0.0.1:{self.operator.port('admin')}")

    @property
    def bills(self) -> dict[str, list[tuple[str, str]]]:
        """What the ledger has of each claim."""
        facts = facts_in(self.operator.database)
        return {
            name: [(f.kind.value, f.type.value) for f in facts if f.claim_uid == uid]
            for name, uid in self.uids.items()
        }

    def says(self, name: str, type_: str, field: str = "status") -> str | None:
        return condition(self.stack.claim(ACME, name) or {}, type_, field)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stack = start_stack("rewound", leased=("west",))
    operator = OperatorProcess(stack, SUBLET_DRIFT_SECONDS="1")
    made = Scene(stack, operator, tmp_path_factory.mktemp("kept") / "hub.backup")
    try:
        _fill(made)
        _live_on_and_go_back(made)
        yield made
    finally:
        operator.kill()
        stack.stop()


def _fill(scene: Scene) -> None:
    stack = scene.stack
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(3)))
    stack.apply("hub", lease("west", committed=24), gpu_class(), tenant())
    scene.operator.start()
    _bind(scene, "stays", *ENDED)
    Program(stack).works("backup", str(scene.file), *scene.admin)


def _live_on_and_go_back(scene: Scene) -> None:
    """Back etcd up, let two claims end, one come and one wait, and restore it; nobody tells the operator."""
    stack = scene.stack
    scene.operator.kill()
    kept = back_up(stack, "hub")
    scene.operator.start()
    for name in ENDED:
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=60s")
    write_on(stack, "hub")
    _bind(scene, "newer")
    stack.apply("hub", claim("waits", ACME, gpus=16))
    wait_for("it waits", lambda: "pending" in (stack.claim(ACME, "waits") or {}).get("status", {}))
    wait_for("all is written", lambda: scene.bills["newer"])
    scene.operator.kill()
    scene.books = stack.books("west")
    restore(stack, "hub", kept)
    scene.operator.start()


def _bind(scene: Scene, *names: str) -> None:
    scene.stack.apply("hub", *(claim(name, ACME) for name in names))
    for name in names:
        bound = wait_for(f"{name} bound", lambda n=name: scene.stack.is_bound(ACME, n), seconds=90)
        scene.uids[name] = bound["metadata"]["uid"]


def test_nothing_is_taken_back_while_the_hub_is_older_than_the_ledger(scene: Scene):
    _it_is_said(scene)
    _nothing_is_sold_ended_or_billed_by_what_the_hub_says(scene)
    _who_ended_ends_by_a_persons_yes(scene)
    _who_came_is_let_go_by_a_persons_word(scene)


def _it_is_said(scene: Scene) -> None:
    wait_for("of the lease", lambda: _orphaned(scene, "reason") == "HubRewound", seconds=120)
    assert scene.uids["newer"] in str(_orphaned(scene, "message"))
    for name in ENDED:
        wait_for(f"of {name}", lambda n=name: scene.says(n, "Degraded", "reason") == "NodeInDoubt")


def _nothing_is_sold_ended_or_billed_by_what_the_hub_says(scene: Scene) -> None:
    stack = scene.stack
    assert stack.claim(ACME, "newer") is None
    assert stack.claim(ACME, "waits") is None
    stack.apply("hub", claim("next", ACME))
    wait_for("another waits", lambda: scene.says("next", "Reserved") == "False")
    stays("all nodes are as they were", lambda: stack.books("west") == scene.books, seconds=4)
    homes = {f"sublet-{scene.uids[name]}-1" for name in ("stays", "newer")}
    assert set(stack.claim_namespaces("west")) == homes
    assert scene.bills == {"stays": RUNS, "newer": RUNS, **dict.fromkeys(ENDED, OVER)}
    assert stack.is_bound(ACME, "stays")


def _who_ended_ends_by_a_persons_yes(scene: Scene) -> None:
    stack, sublet = scene.stack, Program(scene.stack)
    restored = sublet.works("restore", str(scene.file), *scene.admin, "--yes")
    for name in ENDED:
        assert restored.line(f"GpuClaim    acme/{name}").split()[2] == "behind"
    shown = sublet.works("adopt", "--map", *scene.admin)
    for name in ENDED:
        assert "released after the backup" in shown.line(f"GpuClaim   acme/{name}")
    assert f"8 GPUs for claim {scene.uids['newer']}, which the hub doesn't know" in shown.said
    digest = shown.said.strip().rsplit(maxsplit=1)[-1]
    sublet.works("adopt", "--yes", digest, *scene.admin)

    for name in ENDED:
        wait_for(f"{name} has ended", lambda n=name: scene.says(n, "Ended") == "True")
    _bind(scene, "next")
    held = {book for book in stack.books("west").values() if book}
    assert held == {f"{scene.uids[name]}=8" for name in ("stays", "newer", "next")}


def _who_came_is_let_go_by_a_persons_word(scene: Scene) -> None:
    stack, uid = scene.stack, scene.uids["newer"]
    patch(stack, "hub", "gpulease", "west", spec={"releaseOrphans": [uid]})
    wait_for("taken back", lambda: uid not in str(stack.books("west")), seconds=120)
    wait_for("its bill ends", lambda: scene.bills["newer"] == OVER)
    assert scene.bills == {"stays": RUNS, "next": RUNS, "newer": OVER, **dict.fromkeys(ENDED, OVER)}
    assert stack.is_bound(ACME, "stays")
    is_sound(stack, scene.operator.database)


def _orphaned(scene: Scene, field: str) -> str | None:
    return condition(scene.stack.get("hub", "gpulease", "west"), "Orphaned", field)
