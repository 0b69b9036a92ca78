"""Layers: one idea per file, plain arguments, no configuration."""
