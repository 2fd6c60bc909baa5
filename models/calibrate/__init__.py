"""Acquisition facts from pixels: databar, scale bar, text, and which source to believe."""
