"""Public collections: recipes that ship with Graindex, and bringing in what they name."""
