"""What a reservation is written with: what the book decided, and what was agreed when it was a promise."""

from dataclasses import replace

from sublet.api.approval import APPROVED, APPROVED_BY, approval_text
from sublet.api.gpuclaim import GpuClaim
from sublet.binder.work import allocation_for
from sublet.book.decisions import Reserve
from sublet.book.plan import plan
from sublet.hub.meter import facts_of
from sublet.ledger.entry import EntryKind
from tests.builders.api import as_class, gpu_class
from tests.builders.fleet import after, reserve_of, view
from tests.builders.windows import ahead, at, west

CLASS = as_class(gpu_class(cancellation={"freeBeforeStartSeconds": 3600, "chargePercent": 50}))


def changed(each: GpuClaim, allocation) -> GpuClaim:
    return each.model_copy(
        update={"status": each.status.model_copy(update={"allocation": allocation})}
    )


def promised(tags: dict[str, str], **annotations: str) -> tuple[GpuClaim, Reserve]:
    """Return a claim with a promise that was shortened too late, and the decision that gives it nodes at its start."""
    asked = ahead("train", 4, 8, tags=tags)
    meta = asked.metadata.model_copy(update={"annotations": annotations})
    asked = asked.model_copy(update={"metadata": meta})
    first = view([asked], west(), classes=(CLASS,))
    made = plan(first)
    each = changed(after(first, made).claims[0], allocation_for(asked, reserve_of(made, asked)))
    shorter = each.spec.schedule.model_copy(update={"duration_seconds": 5 * 3600})
    each = each.model_copy(update={"spec": each.spec.model_copy(update={"schedule": shorter})})
    late = replace(first, claims=(each,), now_ms=at(3.5))
    cut = after(late, plan(late))
    begins = replace(cut, now_ms=at(4))
    return cut.claims[0], reserve_of(plan(begins), cut.claims[0])


def test_tags_that_change_before_the_start_dont_change_lines_that_are_in_the_ledger():
    each, decision = promised({"project": "a"})
    written = {f.id: f.content for f in facts_of(each) if f.kind is EntryKind.CANCELLED}
    assert written
    tagged = each.model_copy(
        update={"spec": each.spec.model_copy(update={"tags": {"project": "b"}})}
    )

    again = facts_of(changed(tagged, allocation_for(tagged, decision)))

    assert {f.id: f.content for f in again if f.kind is EntryKind.CANCELLED} == written


def test_an_approval_that_was_taken_back_stays_with_what_was_promised_on_it():
    said = approval_text(ahead("train", 4, 8))
    each, decision = promised({}, **{APPROVED: said, APPROVED_BY: "ann"})
    meta = each.metadata.model_copy(update={"annotations": {}})

    assert allocation_for(each.model_copy(update={"metadata": meta}), decision).approved_by == "ann"


def test_a_promise_that_was_restored_keeps_who_asked_for_it_and_the_text_that_the_ledger_has_of_it():
    each, decision = promised({}, **{"sublet.dev/requested-by": "bob"})
    written = {f.id: f.content for f in facts_of(each) if f.kind is EntryKind.TERMS}
    assert written
    meta = each.metadata.model_copy(update={"annotations": {"sublet.dev/requested-by": "ann"}})
    by_ann = each.model_copy(update={"metadata": meta})

    again = facts_of(changed(by_ann, allocation_for(by_ann, decision)))

    assert {f.id: f.content for f in again if f.id in written} == written
