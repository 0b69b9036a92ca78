"""Systems under test: recognisers and taggers of noisewise and of others behind one interface."""
