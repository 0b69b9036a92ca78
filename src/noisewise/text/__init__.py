"""Text: one pinned normaliser, and tokenizers."""
