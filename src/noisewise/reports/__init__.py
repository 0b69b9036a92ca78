"""Tables, comparisons, robustness cards and figures from stored results."""
