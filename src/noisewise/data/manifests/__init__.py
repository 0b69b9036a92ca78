"""Manifests: tables, lhotse cuts and packed shards, read and validated."""
