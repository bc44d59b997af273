"""Carries out what the book decides: bind and release, one guarded request per step, every step safe to repeat.

The book decides, the binder never does: it locks, proves, hands over, takes back. It works from what the objects
say, so a restart at any step goes on from there.
"""
