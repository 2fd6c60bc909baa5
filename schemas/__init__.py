"""What a row means: columns, units, tables and what must hold of them. Imports nothing of ours."""
