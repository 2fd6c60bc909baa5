"""Feature sets: named, versioned groups of columns and vectors of specimens, images or particles.

Out of scope: labels, splits and training sets (`graindex.training`).
"""
