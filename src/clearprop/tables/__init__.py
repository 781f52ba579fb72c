"""Tables: data frames, CSV and Parquet files to the matrices a network learns from, and back."""

from clearprop.tables.encoding import ColumnNote, TableEncoding
from clearprop.tables.frame import Columns, Table, as_table
from clearprop.tables.read import read_table

__all__ = ["ColumnNote", "Columns", "Table", "TableEncoding", "as_table", "read_table"]
