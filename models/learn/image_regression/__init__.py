"""Convolutional networks that predict a number from a micrograph (Murakami et al. 2025)."""
