"""What columns, models and images have to say for themselves: correlations, importance, maps."""
