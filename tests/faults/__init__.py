"""Faults by plan: learn the writes of a workload, plan a fault at each, run, compare.

`python -m tests.faults` runs all plans; `python -m tests.faults '{"workload": …}'` replays one. A proxy stands between the
operator and each API server (`proxy`), writes a journal of all requests (`journal`) and does to one of them what the plan
says. The operator knows nothing of this.
"""
