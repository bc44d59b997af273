"""Incidents of a lease: what counts, what it is worth, until when it must be claimed, and what shows it."""

from fractions import Fraction

import pytest

from sublet.api.times import MS_PER_HOUR
from sublet.ledger.entry import EntryKind
from sublet.rating.sla import disputes_of, incidents_of
from tests.builders.api import LONG_AGO
from tests.builders.wholesale import Scribe, at, span

YEAR = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
TEN, ELEVEN, NOON = (f"2026-11-22T{h}:00:00Z" for h in (10, 11, 12))
SLA = {"creditPercent": 100, "maxPercent": 100, "graceSeconds": 0, "claimWithinDays": 30}


def promised(**sla):
    scribe = Scribe()
    west = scribe.lease("west", committed=16, sla=SLA | sla)
    scribe.capacity(west, LONG_AGO, 16)
    return scribe, west


def found(scribe, lease_uid, as_of=YEAR[1]):
    return incidents_of(scribe.books(), lease_uid, span(*YEAR), at(as_of))


def gpu_hours(incident) -> Fraction:
    return Fraction(incident.gpu_milliseconds, MS_PER_HOUR)


def test_a_gpu_that_is_missing_and_down_is_lost_once():
    scribe, west = promised()
    scribe.held("c", west, 8, LONG_AGO)
    scribe.held("c", west, 8, TEN, NOON, kind=EntryKind.DOWNTIME)
    scribe.capacity(west, TEN, 8, 2)
    scribe.capacity(west, ELEVEN, 16, 3)
    (incident,) = found(scribe, west)
    assert gpu_hours(incident) == 16
    assert incident.amount == 16 * Fraction("2.35")
    assert incident.deadline_ms == at("2026-12-22T12:00:00Z")


@pytest.mark.parametrize(("grace", "incidents"), [(7_199, 1), (7_200, 0)])
def test_only_what_is_longer_than_the_grace_counts_and_then_from_its_beginning(grace, incidents):
    scribe, west = promised(graceSeconds=grace)
    scribe.held("c", west, 8, TEN, NOON, kind=EntryKind.DOWNTIME)
    assert [gpu_hours(x) for x in found(scribe, west)] == [16] * incidents


def test_maintenance_excuses_what_it_takes_away():
    scribe = Scribe()
    window = {"startTime": TEN, "endTime": NOON, "gpus": 4}
    west = scribe.lease("west", committed=16, sla=SLA, maintenance=[window])
    scribe.capacity(west, TEN, 10)
    scribe.capacity(west, NOON, 16, 2)
    (incident,) = found(scribe, west)
    assert gpu_hours(incident) == 2 * 2


def test_disputed_time_is_listed_and_no_downtime():
    scribe, west = promised()
    scribe.held("c", west, 8, LONG_AGO)
    scribe.held("c", west, 8, TEN, NOON, kind=EntryKind.DISPUTED)
    assert found(scribe, west) == []
    (dispute,) = disputes_of(scribe.books(), west, span(ELEVEN, YEAR[1]), at(YEAR[1]))
    assert (dispute.from_ms, dispute.gpu_milliseconds) == (at(ELEVEN), 8 * MS_PER_HOUR)


def test_disputes_are_told_up_to_the_instant_of_looking():
    scribe, west = promised()
    scribe.held("c", west, 8, TEN, NOON, kind=EntryKind.DISPUTED)
    (dispute,) = disputes_of(scribe.books(), west, span(*YEAR), at(ELEVEN))
    assert dispute.to_ms == at(ELEVEN)


def test_disputed_time_within_an_incident_stands_beside_what_is_lost():
    scribe, west = promised()
    scribe.held("c", west, 8, LONG_AGO)
    scribe.held("c", west, 8, TEN, ELEVEN, kind=EntryKind.DISPUTED)
    scribe.held("c", west, 4, TEN, NOON, kind=EntryKind.DOWNTIME)
    (incident,) = found(scribe, west)
    assert gpu_hours(incident) == 8
    assert incident.disputed_gpu_milliseconds == 8 * MS_PER_HOUR


def test_one_that_lasts_has_no_deadline_and_is_counted_so_far():
    scribe, west = promised()
    scribe.capacity(west, TEN, 8, 2)
    (incident,) = found(scribe, west, ELEVEN)
    assert not incident.is_over
    assert incident.deadline_ms is None
    assert gpu_hours(incident) == 8


def test_one_that_ended_at_the_instant_of_looking_is_over():
    scribe, west = promised()
    scribe.held("c", west, 8, TEN, ELEVEN, kind=EntryKind.DOWNTIME)
    (incident,) = found(scribe, west, ELEVEN)
    assert incident.is_over


def test_a_month_gives_back_at_most_its_part_and_earlier_incidents_come_first():
    scribe, west = promised(maxPercent=1)
    scribe.capacity(west, "2026-11-01T00:00:00Z", 0, 2)
    scribe.capacity(west, "2026-11-01T06:00:00Z", 16, 3)
    scribe.capacity(west, "2026-11-02T00:00:00Z", 0, 4)
    scribe.capacity(west, "2026-11-02T06:00:00Z", 16, 5)
    hour = 16 * Fraction("2.35")
    # one per cent of 720 hours is 7.2 of them; the first incident takes 6
    assert [x.amount for x in found(scribe, west)] == [6 * hour, Fraction("1.2") * hour]
    assert [sum(s.gross for s in x.shares) for x in found(scribe, west)] == [6 * hour, 6 * hour]


def test_the_cap_is_used_up_by_incidents_before_the_span_too():
    scribe, west = promised(maxPercent=1)
    scribe.capacity(west, "2026-11-01T00:00:00Z", 0, 2)
    scribe.capacity(west, "2026-11-01T06:00:00Z", 16, 3)
    scribe.capacity(west, "2026-11-02T00:00:00Z", 0, 4)
    scribe.capacity(west, "2026-11-02T06:00:00Z", 16, 5)
    later = span("2026-11-02T00:00:00Z", YEAR[1])
    (incident,) = incidents_of(scribe.books(), west, later, at(YEAR[1]))
    assert incident.amount == Fraction("1.2") * 16 * Fraction("2.35")


def test_the_months_bill_has_what_the_landlord_added_to_uses():
    scribe = Scribe()
    west = scribe.lease(
        "west", mode="PayAsYouGo", sla=SLA | {"maxPercent": 50}, billing={"minimumSeconds": 3_600}
    )
    scribe.held("c", west, 8, TEN, "2026-11-22T10:30:00Z")
    scribe.held("c", west, 8, TEN, "2026-11-22T10:30:00Z", kind=EntryKind.DOWNTIME)
    (incident,) = found(scribe, west)
    assert incident.amount == 4 * Fraction("2.35")


def test_over_months_each_bears_its_part():
    scribe, west = promised()
    scribe.capacity(west, "2026-10-31T20:00:00Z", 8, 2)
    scribe.capacity(west, "2026-11-01T10:00:00Z", 16, 3)
    (incident,) = found(scribe, west)
    assert [(s.month, s.gpu_milliseconds // MS_PER_HOUR) for s in incident.shares] == [
        ("2026-10", 32),
        ("2026-11", 80),
    ]


def test_a_contract_without_a_promise_owes_nothing_and_the_incident_is_there():
    scribe = Scribe()
    west = scribe.lease("west", committed=16)
    scribe.held("c", west, 8, TEN, NOON, kind=EntryKind.DOWNTIME)
    (incident,) = found(scribe, west)
    assert incident.amount == 0
    assert incident.deadline_ms is None
    assert gpu_hours(incident) == 16


def test_the_lines_that_show_it_are_named_and_no_others():
    scribe, west = promised()
    scribe.held("b", west, 1, TEN, NOON)
    scribe.held("c", west, 8, ELEVEN, NOON, kind=EntryKind.DOWNTIME)
    scribe.capacity(west, NOON, 8, 2)
    scribe.capacity(west, "2026-11-22T13:00:00Z", 16, 3)
    lines = {
        x.seq
        for x in scribe.entries()
        if x.fact.kind is EntryKind.DOWNTIME or (x.fact.at_ms, x.fact.gpus) == (at(NOON), 8)
    }
    (incident,) = found(scribe, west)
    assert (incident.first_seq, incident.last_seq) == (min(lines), max(lines))
    assert incident.head == scribe.entries()[-1].hash
