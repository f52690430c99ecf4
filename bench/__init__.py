"""Measurements: ratios side by side in one run, never assertions. `make bench` runs them."""
