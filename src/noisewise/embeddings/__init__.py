"""Embeddings of frozen encoders, and the probes that measure them."""
