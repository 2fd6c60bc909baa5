"""Particles of a tomogram from a network for images, seen in three directions (Li et al. 2022)."""
