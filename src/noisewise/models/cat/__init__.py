"""CAT, a convolutional audio transformer: encoder, objective, regularisation, tagger."""
