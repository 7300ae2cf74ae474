"""Formats of labelled pictures, each read leniently into `dsla.data.tables.Tables`."""

from dsla.data.formats.read import SplitTables, read_tables

__all__ = ["SplitTables", "read_tables"]
