"""The whole operator core over an in-memory API, on a virtual clock, driven by one seed.

`python -m tests.simulation SEED…` plays histories; see docs/development.md.
"""
