"""The budget: limits on what requests may cost, which parallel requests cannot exceed together."""
