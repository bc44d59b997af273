"""The book: supply (lease-hours) against demand (claim-hours) in time. Pure.

A view of the hub, a view of the fleet and `now` go in; decisions with reasons come out. No I/O, no clock of
its own, same input same output: it runs unchanged under the operator, quotes, replays and tests.
"""
