"""How descriptions and arrays are written to files and read back."""
