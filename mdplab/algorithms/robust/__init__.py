"""Robust decision processes: policy gradient, sequences of models, soft robustness, Newton steps; one method a file."""
