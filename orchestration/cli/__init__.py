"""The command line `graindex`."""
