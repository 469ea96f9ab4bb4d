"""HTTP in and out: one module an API, plus the door every request passes."""
