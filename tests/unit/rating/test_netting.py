"""Each incident with what tenants were credited for it; every credit stands once; two currencies are never added."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.entry import EntryKind
from sublet.ledger.texts.rates import NoRate
from sublet.rating.model import Category
from sublet.rating.money import Exchange
from sublet.rating.netting import netting
from sublet.rating.sla import incidents_of
from tests.builders.wholesale import Scribe, at, charge, span

YEAR = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
TEN, ELEVEN, NOON, ONE = (f"2026-11-22T{h}:00:00Z" for h in (10, 11, 12, 13))
SLA = {"creditPercent": 100, "maxPercent": 100, "claimWithinDays": 30}


def outage(**spec):
    """Return a lease of 8 GPUs that were down from ten to eleven, for 18.80."""
    scribe = Scribe()
    west = scribe.lease("west", committed=8, sla=SLA, **spec)
    scribe.held("c", west, 8, YEAR[0])
    scribe.held("c", west, 8, TEN, ELEVEN, kind=EntryKind.DOWNTIME)
    return scribe, west


def incidents(scribe, lease_uid):
    return incidents_of(scribe.books(), lease_uid, span(*YEAR), at(YEAR[1]))


def credit(amount: str, begin=TEN, end=ELEVEN, currency="USD", lease_uid="west"):
    return charge(
        "c", lease_uid, begin, end, amount, category=Category.CREDIT, currency=currency, gpus=8
    )


def test_what_the_landlord_owes_less_what_tenants_were_credited_is_left():
    scribe, west = outage()
    (netted,) = netting(incidents(scribe, west), [credit("-10"), credit("-4.5")])
    assert (netted.owed, netted.credited) == (
        {"USD": Fraction("18.8")},
        {"USD": Fraction("14.5")},
    )
    assert netted.net == {"USD": Fraction("4.3")}


def test_a_credit_of_no_length_belongs_to_the_incident_that_it_lies_in():
    # the first part of an incident that went on into the month in which it is credited
    scribe, west = outage()
    begun = "2026-11-22T10:30:00Z"
    (netted,) = netting(incidents(scribe, west), [credit("-2", begun, begun), credit("-3", begun)])
    assert netted.credited == {"USD": 5}


def test_only_credits_are_netted():
    scribe, west = outage()
    (netted,) = netting(incidents(scribe, west), [charge("c", west, TEN, NOON, "40", gpus=8)])
    assert not netted.credits
    assert netted.credited == {"USD": Fraction(0)}


def test_a_credit_that_no_landlord_stands_behind_is_ours():
    scribe, west = outage()
    elsewhere = [credit("-3", lease_uid="east"), credit("-2", NOON, ONE)]
    mine, ours = netting(incidents(scribe, west), elsewhere)
    assert (mine.credits, ours.incident) == ((), None)
    assert ours.net == {"USD": -5}


def test_of_two_incidents_that_a_credit_overlaps_alike_the_earlier_one_has_it():
    scribe, west = outage()
    scribe.held("d", west, 1, NOON, ONE, kind=EntryKind.DOWNTIME)
    first, second = netting(incidents(scribe, west), [credit("-3", TEN, ONE)])
    assert (len(first.credits), len(second.credits)) == (1, 0)


def test_currencies_stand_side_by_side_or_are_converted():
    scribe, west = outage()
    scribe.rates("EUR", {"currency": "USD", "effectiveTime": YEAR[0], "rate": "0.5"})
    found, credits_ = incidents(scribe, west), [credit("-10", currency="EUR")]
    (kept,) = netting(found, credits_)
    assert kept.net == {"EUR": -10, "USD": Fraction("18.8")}
    (converted,) = netting(found, credits_, Exchange.of(scribe.books()))
    assert converted.net == {"EUR": Fraction("-0.6")}


def test_a_rate_that_is_missing_is_named():
    scribe, west = outage()
    scribe.rates("EUR", {"currency": "USD", "effectiveTime": ONE, "rate": "0.5"})
    with pytest.raises(NoRate, match="no rate from USD to EUR at 2026-11-22T11:00:00Z"):
        netting(incidents(scribe, west), [], Exchange.of(scribe.books()))


def test_without_a_table_nothing_is_converted():
    with pytest.raises(NoRate, match="no table of exchange rates"):
        Exchange.of(Scribe().books())


hours = st.integers(0, 12)
credited = st.lists(st.tuples(hours, hours.map(lambda h: h + 1), st.integers(1, 99)), max_size=8)


@given(st.sets(hours, max_size=6), credited)
def test_each_credit_stands_once_and_by_an_incident_that_it_overlaps_most(down, drawn):
    scribe = Scribe()
    west = scribe.lease("west", committed=8, sla=SLA)
    ten = at(TEN)
    for hour in down:
        begin = Millis(ten + hour * MS_PER_HOUR)
        scribe.held(f"c{hour}", west, 1, begin, begin + MS_PER_HOUR, kind=EntryKind.DOWNTIME)
    credits_ = [
        replace(credit(f"-{amount}"), from_ms=ten + b * MS_PER_HOUR, to_ms=ten + (b + lasts) * MS_PER_HOUR)
        for b, lasts, amount in drawn
    ]  # fmt: skip
    found = incidents(scribe, west)

    netted = netting(found, credits_)

    def overlap(each, incident):
        return min(each.to_ms, incident.to_ms) - max(each.from_ms, incident.from_ms)

    stands = [c for n in netted for c in n.credits]
    assert sorted(stands, key=repr) == sorted(credits_, key=repr)
    for each in netted:
        for one in each.credits:
            most = max([0, *(overlap(one, x) for x in found)])
            assert (most if each.incident is None else overlap(one, each.incident)) == most
            assert (each.incident is None) is (most == 0)
