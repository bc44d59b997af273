"""Sublet: a Kubernetes operator for subleased GPU pools.

The map of the program is `app.py`; the words are those of docs/concepts.md.
"""

__version__ = "0.1.0"
