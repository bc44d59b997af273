"""Charges as columns: their order, where groups begin, and amounts that are each row's own."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from sublet.api.ids import ClaimUID
from sublet.export.focus import fields
from sublet.export.focus.fields import fields_of
from sublet.rating.model import Category
from tests.builders.charges import EAST, WEST, charge, everything, hour, money

ORDER = ("claim_uid", "from_ms", "to_ms", "category", "lease_uid", "class_name", "corrects", "first_seq")  # fmt: skip


def in_order(charges):
    """Return charges in the order of rows; those that are equal in it stay as they came."""
    return sorted(charges, key=lambda c: [getattr(c, name) for name in ORDER])


def of(claim, hours):
    """Return hours of one claim."""
    return [charge(at, of=claim, first_seq=at, last_seq=at + 1) for at in hours]


def of_one_hour():
    """Return charges that begin together and differ in one field of the order each, smallest first."""
    first = charge(gpus=1, to_ms=hour(1), lease_uid=EAST, class_name="a100", first_seq=1)
    fifth = replace(first, category=Category.USE)
    return [
        replace(fifth, to_ms=hour(0), lease_uid=WEST),
        replace(first, category=Category.CANCELLED, lease_uid=WEST),
        fifth,
        replace(fifth, first_seq=2),
        replace(fifth, corrects="2026-08"),
        replace(fifth, class_name="h100"),
        replace(fifth, lease_uid=WEST),
    ]


def test_charges_that_come_in_order_are_not_sorted_again():
    charges = [*of("a", range(3)), *of("b", range(3))]
    assert fields_of(charges).charges is charges


def test_two_charges_that_changed_places_are_put_in_order_wherever_they_stand():
    charges = [*of("a", range(3)), *of_one_hour(), *of("z", range(3))]
    for at in range(1, len(charges)):
        given = [*charges[: at - 1], charges[at], charges[at - 1], *charges[at + 1 :]]
        assert list(fields_of(given).charges) == charges


def test_the_last_charge_may_belong_first():
    late, *charges = of("a", range(3 * 1_024))
    assert list(fields_of([*charges, late]).charges) == [late, *charges]


def test_charges_that_are_equal_in_the_order_stay_as_they_came():
    two = [charge(gpus=gpus) for gpus in (2, 1)]
    for given in ([*two, charge(1)], [charge(1), *two]):
        assert list(fields_of(given).charges) == [*two, charge(1)]


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 1_024])
def test_columns_are_what_each_charge_says_however_many_are_looked_at_together(
    at_a_time, monkeypatch
):
    monkeypatch.setattr(fields, "_AT_A_TIME", at_a_time)
    given = random.Random(1).sample(everything(), len(everything()))

    found = fields_of(given)

    assert list(found.charges) == in_order(given)
    for name in ("from_ms", "to_ms", "gpu_milliseconds", "first_seq", "last_seq"):
        assert getattr(found, name).to_pylist() == [getattr(c, name) for c in found.charges]
    both = [found.amounts[number] for number in found.amount_of_row.to_pylist()]
    assert [(Fraction(*owed), Fraction(*listed)) for owed, listed in both] == [
        (c.amount, c.list_amount) for c in found.charges
    ]


def test_amounts_are_each_rows_own_even_where_time_and_price_are_the_same():
    amounts = [Fraction(1), Fraction(2), Fraction(1, 3), Fraction(10**40, 7)]
    found = fields_of([charge(at, amount=amount) for at, amount in enumerate(amounts)])
    assert len(found.begins) == 1
    assert [
        Fraction(*found.amounts[number][0]) for number in found.amount_of_row.to_pylist()
    ] == amounts


@pytest.mark.parametrize("at_a_time", [1, 2, 1_024])
def test_a_group_ends_where_anything_but_time_and_amount_differs(at_a_time, monkeypatch):
    monkeypatch.setattr(fields, "_AT_A_TIME", at_a_time)
    own = {"sequence": 2}, {"lease_uid": EAST}, {"tags_hash": ""}, {"price": Fraction(1)}
    charges = [charge(at) for at in range(4)]
    for fields_changed in own:
        given = [*charges[:2], *(replace(c, **fields_changed) for c in charges[2:])]
        assert fields_of(given).begins == [0, 2]
    assert fields_of(charges).begins == [0]


def test_each_adjustment_is_a_group_of_its_own_and_what_follows_too():
    own = {"claim_uid": ClaimUID(""), "to_ms": hour(0)}
    adjusted = [money(Category.ADJUSTMENT, "1", first_seq=seq, **own) for seq in (3, 4)]
    assert fields_of([*adjusted, charge(), charge(1)]).begins == [0, 1, 2]


def test_no_charges_have_no_groups():
    found = fields_of([])
    assert (found.begins, found.amounts, len(found.from_ms)) == ([], [], 0)
