"""What a request cost, in billionths of an AI Credit, and what is left of the quota. Pure."""
