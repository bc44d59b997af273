"""Sublet: a Kubernetes operator for subleased GPU pools.

The map of the program is `app.py`; the words are those of docs/concepts.md.
"""

__version__ = "0.1.0"
"""The one place of the version: wheel, metrics and records read it; the chart's is compared with it by `make release-check`."""
