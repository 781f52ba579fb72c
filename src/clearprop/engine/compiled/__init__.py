"""The compiled engine: whole epochs as one compiled call."""
