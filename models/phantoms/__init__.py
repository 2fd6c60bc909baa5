"""Synthetic micrographs with known truth."""
