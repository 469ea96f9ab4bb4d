"""One request end to end: which model, which API, what is sent, and the answer on its way back."""
