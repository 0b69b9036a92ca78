"""Language models: one protocol, n-grams, class models, mixtures, and KenLM."""
