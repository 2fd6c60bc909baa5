"""Convolutional networks that predict a number or a class from a micrograph (Murakami, Oh)."""
