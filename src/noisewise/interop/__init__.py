"""Weights made elsewhere: tables from their names to ours; the libraries that made them are not needed."""
