"""Ports of control planes: two that choose at the same time never choose the same."""

import pytest

from tests.planes import ports


def test_a_port_that_was_taken_is_not_given_again_though_nobody_listens_on_it_yet(
    monkeypatch: pytest.MonkeyPatch,
):
    first = ports.take_ports(1)[0]
    monkeypatch.setattr(ports, "_FIRST_PORT", first)
    monkeypatch.setattr(ports, "_PORTS", 50)

    others = ports.take_ports(20)

    assert first not in others
    assert len(set(others)) == 20
