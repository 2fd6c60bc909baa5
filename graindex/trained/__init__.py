"""Models as assets: defined, trained, kept with a card, predicted from and replayed."""
