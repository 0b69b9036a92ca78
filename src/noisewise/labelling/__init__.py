"""Transcripts by recognisers for speech that has none, where they can be relied on."""
