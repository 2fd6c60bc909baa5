"""Models that learn from features: fitted, evaluated and measured as pure functions of arrays."""
