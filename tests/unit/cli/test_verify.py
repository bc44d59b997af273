"""What `sublet verify` makes of readings: what counts, what is said, how it ends; and which credentials it takes."""

import base64
from dataclasses import replace

import pytest
import yaml

from sublet.api.times import Millis
from sublet.cli import verify as verifying
from sublet.cli.problems import Problem
from sublet.cli.verify import UNREAD, VIOLATED, WELL, Verdict, as_data, judge, show
from sublet.cli.ways import _endpoint, parse_contexts
from sublet.verify.find import find_violations
from sublet.verify.world import Unknown
from tests.builders.api import as_lease, lease
from tests.builders.worlds import NODES, bound_claim, changed_node, sound_world

SOUND = sound_world(bound_claim())
UNLOCKED = changed_node(SOUND, book="", claim_labels=frozenset(), tenant_uid=None)
SECRETLESS = replace(SOUND, secrets=())
AWAY = replace(SOUND, unknown=(Unknown("lease east", "its cluster can't be read"),))


class Readings:
    """Reads one world after the other, the last one again and again."""

    def __init__(self, *worlds):
        self.worlds = list(worlds)
        self.count = 0

    async def read(self):
        self.count += 1
        return self.worlds.pop(0) if len(self.worlds) > 1 else self.worlds[0]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verifying, "_PAUSE_SECONDS", 0.0)


async def judged(*worlds, patience_seconds=0.0):
    verdict = await judge(Readings(*worlds), patience_seconds)
    return verdict.status, [v.id for v in verdict.violations]


async def test_a_sound_system_is_read_once():
    readings = Readings(SOUND)

    assert (await judge(readings, 60.0)).status == WELL
    assert readings.count == 1


async def test_what_is_seen_once_only_doesnt_count():
    assert await judged(UNLOCKED, SOUND) == (WELL, [])
    assert await judged(UNLOCKED, UNLOCKED) == (VIOLATED, ["S1"])


async def test_a_fault_whose_figures_grow_while_it_is_looked_at_again_counts():
    begun = as_lease(lease("west", committed=8, term={"startTime": "2026-11-22T10:30:00Z"}))
    sold = replace(sound_world(bound_claim(), fleet=((begun, NODES),)), spec_changed={})
    later = replace(sold, now_ms=Millis(sold.now_ms + 1_000))

    assert await judged(sold, later) == (VIOLATED, ["A3"])


async def test_what_must_always_hold_counts_though_it_is_mended_later():
    assert await judged(UNLOCKED, UNLOCKED, SOUND, patience_seconds=60.0) == (VIOLATED, ["S1"])


async def test_what_holds_at_rest_has_until_the_patience_is_over():
    assert await judged(SECRETLESS, SECRETLESS, SOUND, patience_seconds=60.0) == (WELL, [])
    assert await judged(SECRETLESS, SECRETLESS) == (VIOLATED, ["L5"])


async def test_what_couldnt_be_read_is_another_end_than_what_is_wrong():
    assert await judged(AWAY) == (UNREAD, [])
    assert await judged(replace(UNLOCKED, unknown=AWAY.unknown)) == (VIOLATED, ["S1"])


def test_each_finding_is_one_line_and_the_last_one_counts(capsys: pytest.CaptureFixture[str]):
    world = replace(
        UNLOCKED, unknown=AWAY.unknown, unchecked={"ledger": "A1 to A4; give --database"}
    )
    show(Verdict(world, list(find_violations(world, settled=False))))

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "S1 node west/west-0000",
        "unknown",
        "not checked",
        "checked 1 claims, 1 leases, 4 nodes, 1 namespaces, 0 pods, 1 secrets, 2 ledger lines",
    ]
    assert lines[-1].endswith(": 1 violation, 1 unknown")


def test_programs_get_all_of_it():
    data = as_data(Verdict(AWAY, []))

    assert data["violations"] == []
    assert data["unknown"] == [{"subject": "lease east", "message": "its cluster can't be read"}]
    assert data["checked"]["nodes"] == 4


def test_own_contexts_are_given_by_lease():
    assert parse_contexts(["west=a", "east=b=c"]) == {"west": "a", "east": "b=c"}
    for text in ("west", "=a", "west="):
        with pytest.raises(Problem, match="isn't LEASE=CONTEXT"):
            parse_contexts([text])


def secret(data, labels=("sublet.dev/cluster-credentials",)):
    return {"metadata": {"labels": dict.fromkeys(labels, "true")}, "data": data}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (secret({}, labels=()), "lacks the label sublet.dev/cluster-credentials"),
        (secret({}), "has no key kubeconfig with a kubeconfig"),
        (secret({"kubeconfig": "not base64!"}), "has no key kubeconfig with a kubeconfig"),
        (secret({"kubeconfig": base64.b64encode(b"nope").decode()}), "is refused: kind: must be"),
    ],
)
def test_a_broken_secret_is_a_reason_and_no_error(body, words):
    found = _endpoint(body, "kubeconfig")

    assert isinstance(found, str)
    assert words in found


def test_a_kubeconfig_that_would_run_a_program_is_refused():
    config = yaml.safe_dump(
        {
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://west.example"}}],
            "users": [{"name": "c", "user": {"exec": {"command": "/bin/false"}}}],
        }
    )
    found = _endpoint(
        secret({"kubeconfig": base64.b64encode(config.encode()).decode()}), "kubeconfig"
    )

    assert isinstance(found, str)
    assert "users[].user.exec: it would run a program" in found


def test_what_a_landlord_calls_things_drives_no_terminal(capsys):
    unread = (Unknown("lease east", "it answered \x1b[2J"),)
    show(Verdict(replace(SOUND, unknown=unread, unchecked={"x": "\x1b[1m"}), []))

    assert "\x1b" not in capsys.readouterr().out
