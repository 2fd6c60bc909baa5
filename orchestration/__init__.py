"""Definitions, checks, jobs, sensors and the command line."""
