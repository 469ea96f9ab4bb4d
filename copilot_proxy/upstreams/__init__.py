"""The upstreams that answer requests; `base` has their protocol."""
