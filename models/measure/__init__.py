"""Images and labels to numbers."""
