"""What-if on recorded fleets: how much of a fleet different placement strategies can give away. Pure.

`openb` reads traces, `fleet` counts what nodes have left, `workload` knows what is asked for, `baselines` and
`fragmentation` choose nodes, `run` plays a trace against a fleet. No I/O, no clock; chance comes from a seed: same
input same output.
"""
