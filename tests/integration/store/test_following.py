"""A hub that is older than the ledger reports ends, silences and downtimes anew: the ledger stays one that can be read."""

from dataclasses import replace

import pytest

from sublet.api import claim_status
from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.outage import Outage
from sublet.api.times import Millis
from sublet.hub.meter import facts_of, texts_of
from sublet.ledger.entry import EntryKind
from sublet.ledger.interval import intervals
from sublet.store.sql import SqlLedger
from tests.builders.api import NOW, with_status
from tests.unit.api.test_claim_status import bound, releasing

pytestmark = pytest.mark.postgres

Edges = tuple[int, int | None]


def silent(*times: Edges, claim: GpuClaim | None = None) -> GpuClaim:
    """A claim whose cluster was silent from and until these milliseconds after it was bound."""
    outages = tuple(
        Outage(sequence=1, lease_uid="w", gpus=8, from_time=at(a), until_time=at(b))
        for a, b in times
    )
    claim = claim or bound()
    return with_status(claim, claim.status.model_copy(update={"outages": outages}))


def down(*times: tuple[int, int | None, int]) -> GpuClaim:
    """A bound claim of which so many GPUs didn't work."""
    found = tuple(
        Downtime(
            sequence=1,
            lease_uid="w",
            gpus=gpus,
            cause=DowntimeCause.GPUS_MISSING,
            from_time=at(a),
            until_time=at(b),
        )
        for a, b, gpus in times
    )
    return with_status(bound(), bound().status.model_copy(update={"downtimes": found}))


def at(ms: int | None) -> Millis | None:
    return Millis(NOW + ms) if ms is not None else None


def ended(claim: GpuClaim, after_ms: int) -> GpuClaim:
    """The claim with its release begun; all that it had is silent at the lease w."""
    release = releasing().status.release
    assert release is not None
    decided = release.model_copy(update={"release_time": at(after_ms)})
    return with_status(claim, claim_status.releasing(claim, decided, NOW))


async def told(url: str, *history: GpuClaim, kind: EntryKind = EntryKind.DISPUTED) -> list[Edges]:
    """What the ledger says after it was told of each state, each twice; it must prove itself."""
    ledger = SqlLedger(url)
    for claim in history:
        facts = [replace(f, lease_uid="w") if f.kind is EntryKind.BOUND else f for f in facts_of(claim)]  # fmt: skip
        await ledger.append(facts, texts_of(claim))
        before = len(await ledger.facts())
        assert await ledger.append(facts, texts_of(claim)) == 0
        assert len(await ledger.facts()) == before
    assert (await ledger.verify()).fault is None
    found = [x for x in intervals(await ledger.facts()) if x.kind is kind]
    await ledger.close()
    return sorted((x.start_ms - NOW, x.end_ms - NOW if x.end_ms is not None else None) for x in found)  # fmt: skip


async def test_a_hub_from_the_middle_of_a_silence_ends_it_no_second_time(url: str):
    found = await told(url, silent((5, None)), silent((5, 9)), silent((5, None)), silent((5, 50)))

    assert found == [(5, 9)]


async def test_a_silence_that_goes_on_by_both_ends_when_it_is_seen_to(url: str):
    found = await told(
        url, silent((5, None)), silent((5, 9), (20, None)), silent((5, None)), silent((5, 50))
    )

    assert found == [(5, 9), (20, 50)]


async def test_a_hub_from_before_a_silence_begins_no_second_one_within_it(url: str):
    found = await told(url, silent((5, None)), silent(), silent((40, None)), silent((40, 50)))

    assert found == [(5, 40), (40, 50)]


async def test_a_silence_that_the_hub_forgot_ends_with_the_bill(url: str):
    found = await told(url, silent((5, None)), silent(), ended(silent(), 70))

    assert found == [(5, 70)]


async def test_a_silence_that_the_hub_has_and_the_ledger_lacks_is_written(url: str):
    found = await told(url, bound(), silent((5, 9), (20, None)), ended(silent((5, 9), (20, None)), 70))  # fmt: skip

    assert found == [(5, 9), (20, 70)]


async def test_a_downtime_of_another_number_of_gpus_follows_the_one_that_lasts(url: str):
    found = await told(
        url,
        down((5, None, 2)),
        down((30, None, 3)),
        down((30, 60, 3)),
        ended(down((30, 60, 3)), 70),
        kind=EntryKind.DOWNTIME,
    )

    assert found == [(5, 30), (30, 60)]


async def test_a_downtime_whose_end_says_another_number_of_gpus_ends_with_the_bill(url: str):
    found = await told(
        url,
        down((5, None, 2), (30, None, 3)),
        down((5, None, 2)),
        ended(down((5, None, 2)), 70),
        kind=EntryKind.DOWNTIME,
    )

    assert found == [(5, 30), (30, 71)]


def freed(claim: GpuClaim, after_ms: int) -> GpuClaim:
    """The claim with its release done."""
    return with_status(claim, claim_status.released(claim, at(after_ms)))


async def test_a_claim_that_ended_and_is_bound_again_by_the_hub_keeps_its_first_end(url: str):
    first = ended(bound(), 10)
    again = ended(bound(), 50)
    history = (bound(), first, freed(first, 20), bound(), again, freed(again, 60))

    assert await told(url, *history, kind=EntryKind.BOUND) == [(0, 10)]


async def test_a_release_that_the_hub_begins_again_lasts_without_a_gap(url: str):
    again = ended(bound(), 50)
    history = (bound(), ended(bound(), 10), bound(), again, freed(again, 60))

    assert await told(url, *history, kind=EntryKind.RELEASING) == [(10, 50), (50, 60)]


async def test_a_silence_that_is_older_than_the_last_one_is_never_news(url: str):
    found = await told(url, silent((20, None)), silent((5, None)), silent((5, 50)), silent((5, 50)))

    assert found == [(20, 50)]


async def test_a_hub_from_the_middle_of_a_release_ends_it_no_second_time(url: str):
    going = ended(bound(), 10)
    history = (going, freed(going, 20), going, freed(going, 60))

    assert await told(url, *history, kind=EntryKind.RELEASING) == [(10, 20)]


async def test_a_downtime_that_a_restored_hub_grows_anew_is_ended_where_it_grows(url: str):
    """The end of the smaller one has the instant at which the ledger ends the larger one that it knew."""
    before = down((5, None, 1))
    found = await told(
        url,
        before,
        down((5, 9, 1), (9, None, 8)),
        before,
        down((5, 20, 1), (20, None, 8)),
        down((5, 20, 1), (20, 30, 8)),
        kind=EntryKind.DOWNTIME,
    )

    assert found == [(5, 9), (9, 20), (20, 30)]


async def test_a_release_that_the_hub_begins_again_and_ends_within_the_second_ends(url: str):
    """The release that the ledger had going ends where this one begins, by a line that says its end as well."""
    going, again = ended(bound(), 10), ended(bound(), 50)

    at_once = await told(url, going, bound(), freed(again, 50), kind=EntryKind.RELEASING)
    assert at_once == [(10, 50), (50, 51)]


async def test_a_release_that_the_hub_begins_again_and_sees_done_at_that_instant_ends(url: str):
    going, again = ended(bound(), 10), ended(bound(), 50)

    found = await told(url, going, bound(), again, freed(again, 50), kind=EntryKind.RELEASING)
    assert found == [(10, 50), (50, 51)]


async def test_no_release_lasts_of_a_reservation_whose_release_is_done(url: str):
    """The hub was put back to before its release, and began one anew; then to after it."""
    done = freed(ended(bound(), 10), 20)

    found = await told(url, done, bound(), ended(bound(), 50), done, kind=EntryKind.RELEASING)
    assert found == [(10, 20), (50, 50)]


async def test_a_release_that_ends_by_a_clock_that_is_behind_has_no_length(url: str):
    going, again = ended(bound(), 50), ended(bound(), 10)

    assert await told(url, going, freed(again, 20), kind=EntryKind.RELEASING) == [(50, 50)]


async def test_a_silence_without_length_within_one_that_lasts_by_the_ledger_ends(url: str):
    found = await told(url, silent((5, None)), silent((50, 50)), silent((50, 50), (60, None)))

    assert found == [(5, 50), (50, 51), (60, None)]


async def test_a_silence_from_an_instant_at_which_one_ended_ends_with_a_bill_of_that_instant(url: str):  # fmt: skip
    """The hub was put back within a silence, and then to before it: the ledger has an end at that instant already."""
    found = await told(url, silent((5, None)), silent((40, None)), ended(silent(), 40))

    assert found == [(5, 40), (40, 41)]
