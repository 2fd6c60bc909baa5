"""Files to pixels and acquisition readings."""
