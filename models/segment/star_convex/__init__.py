"""Particles as star-convex polygons that a network predicts (Li et al. 2022)."""
