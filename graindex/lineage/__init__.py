"""Lineage: from any number back to its files, and forward to all that rests on one."""
