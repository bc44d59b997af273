"""Shared builders: API objects and nodes as real clusters show them."""
