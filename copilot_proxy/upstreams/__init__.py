"""The upstreams that answer requests; `base` defines their protocol."""
