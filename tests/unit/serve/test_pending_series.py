"""Claims that wait, as a scrape counts them: by names that the platform team gave, and by no others."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.serve.metrics import Snapshot
from tests.builders.api import NOW, as_claim, as_class, claim, gpu_class
from tests.builders.ledgered import Memory


def waiting(name: str, class_name: str, reason: str) -> GpuClaim:
    pending = {"reason": reason, "message": "m"}
    return as_claim({**claim(name, class_name=class_name), "status": {"pending": pending}})


def test_claims_are_counted_by_class_and_reason_and_all_classes_that_arent_there_are_one():
    claims = [waiting(x, "h100", "WaitingForCapacity") for x in "ab"]
    claims += [waiting(f"m{i}", f"made-up-{i}", "Misconfigured") for i in range(50)]
    memory: Any = Memory(claims=claims, classes=[as_class(gpu_class("h100"))])

    found = {
        tuple(sample.labels.values()): sample.value
        for family in Snapshot(memory, NOW, None).collect()
        if family.name == "sublet_pending_claims"
        for sample in family.samples
    }

    assert found == {("h100", "WaitingForCapacity"): 2, ("", "Misconfigured"): 50}
