"""Particles as boxes with a mask in each that a network predicts (Mask R-CNN, He et al. 2017)."""
