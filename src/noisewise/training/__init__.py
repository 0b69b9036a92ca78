"""Training: how do we step. It knows the Task protocol, and no model."""
