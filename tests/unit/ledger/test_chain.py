"""A proof names the first line that is wrong, and a line's text is the same on every machine."""

import json
from dataclasses import asdict, replace

from hypothesis import given, strategies as st

from sublet.ledger.chain import Stored, texts_fault, verify_lines
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, EntryType, Fact
from tests.builders.lines import TEXTS, fact

texts = st.text(max_size=20)
facts = st.builds(
    Fact,
    texts,
    st.integers(0, 10**9),
    texts,
    texts,
    st.sampled_from(EntryKind),
    st.sampled_from(EntryType),
    st.integers(-5, 10**9),
    st.integers(-(10**15), 10**15),
    texts,
    texts,
    texts,
)


@given(facts)
def test_a_lines_content_is_canonical_json_of_its_fields(one: Fact):
    fields = asdict(one)
    del fields["source_version"]

    assert one.content == json.dumps(fields, sort_keys=True, separators=(",", ":"))


def chained(*found: Fact) -> list[Stored]:
    lines: list[Stored] = []
    for seq, each in enumerate(found, 1):
        entry = Entry(seq, each, lines[-1].entry.hash if lines else GENESIS_HASH)
        lines.append(Stored(entry, each.id, entry.hash))
    return lines


WHOLE = chained(fact("a"), fact("b"), fact("a", 9, type_=EntryType.CLOSE))


def fault(lines: list[Stored], known: dict[str, str] = TEXTS) -> str | None:
    return verify_lines(lines, texts_fault(known.items())).fault


def test_a_whole_ledger_is_proven_to_its_head():
    proof = verify_lines(WHOLE, texts_fault(TEXTS.items()))

    assert (proof.entries, proof.head, proof.fault) == (3, WHOLE[-1].entry.hash, None)
    assert verify_lines([]).entries == 0


def test_a_line_that_is_missing_is_named():
    assert fault([WHOLE[0], WHOLE[2]]) == "line 2 is missing (found 3)"
    assert fault(WHOLE[1:]) == "line 1 is missing (found 2)"


def test_a_line_that_was_put_in_is_named():
    forged = chained(fact("a"), fact("x"), fact("b"))
    moved = Stored(replace(WHOLE[1].entry, seq=3), WHOLE[1].id)

    assert str(fault([WHOLE[0], forged[1], moved])).startswith("line 3 doesn't follow line 2")


def test_a_hash_or_an_id_that_isnt_the_lines_own_is_named():
    wrong = "0" * 64

    assert str(fault([replace(WHOLE[0], hash=wrong)])).startswith("line 1 was changed: its hash")
    assert str(fault([replace(WHOLE[0], id=wrong)])).startswith("line 1 was changed: its id")


def test_a_line_that_says_the_same_again_is_named():
    closed = (fact("a"), fact("a", 9, type_=EntryType.CLOSE))

    assert fault(chained(*closed, fact("a"))) == "line 3 repeats an earlier one"


def test_an_interval_that_cant_be_is_named_with_its_line():
    assert str(fault(chained(fact("a"), fact("a", 7)))).startswith(
        "line 2: claim a opens bound twice"
    )


def test_a_text_that_is_missing_or_was_changed_is_named_with_the_first_line_that_needs_it():
    price = fact("a").price_hash

    assert fault(WHOLE, {}) == f"line 1: there is no text of hash {price}"
    assert fault(WHOLE, {**TEXTS, price: "{}"}) == f"line 1: the text of hash {price} was changed"
