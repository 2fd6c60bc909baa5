"""Training sets: labels, splits, the tables a model sees, and how they leave the store."""
