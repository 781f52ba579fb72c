"""Tables: data frames, CSV and Parquet files to the matrices a network learns from, and back."""

from clearprop.tables.encoding import ColumnNote, TableEncoding
from clearprop.tables.frames import as_frame
from clearprop.tables.reading import read_table

__all__ = ["ColumnNote", "TableEncoding", "as_frame", "read_table"]
