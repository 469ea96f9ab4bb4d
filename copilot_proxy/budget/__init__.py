"""The budget: limits on the cost of requests, which parallel requests cannot exceed together."""
