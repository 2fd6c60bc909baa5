"""Software-defined assets: thin. Read, call one function, return a table and metadata."""
