"""Corpora, manifests, noise and batches; the only home of lhotse."""
