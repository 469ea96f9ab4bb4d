"""What a request cost, in billionths of an AI credit, and what is left of the quota. Pure."""
