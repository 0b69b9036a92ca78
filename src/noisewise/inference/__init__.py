"""Using a trained model: recognisers, taggers, and what they return."""
