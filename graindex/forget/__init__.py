"""Withdrawing images and volumes from everything that the store keeps of them."""
