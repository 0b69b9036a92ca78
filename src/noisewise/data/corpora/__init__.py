"""One file per corpus: from its folder to a validated manifest."""
