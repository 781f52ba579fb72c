"""Tables: data frames, CSV and Parquet files to the matrices a network learns from, and back."""

from clearprop.tables.encoding import ColumnNote, TableEncoding
from clearprop.tables.frame import as_frame
from clearprop.tables.read import read_table

__all__ = ["ColumnNote", "TableEncoding", "as_frame", "read_table"]
