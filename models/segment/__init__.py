"""Classical segmentation of grey images and phase volumes into particles."""
