"""The budget: limits on what requests may cost, which also hold for many requests at once."""
