"""The wire formats as pure functions and state machines: no I/O, no await, no framework."""
