"""Where answers come from: one seam (base.py), one module an upstream."""
