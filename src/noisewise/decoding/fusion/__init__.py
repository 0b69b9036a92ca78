"""Shallow fusion: language models, lexicons and hotwords in the beam search."""
