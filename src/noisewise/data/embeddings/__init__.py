"""Stored embeddings: the reader and the writer."""
