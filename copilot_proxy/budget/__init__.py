"""The budget: limits on the cost of requests, enforced even across parallel requests."""
