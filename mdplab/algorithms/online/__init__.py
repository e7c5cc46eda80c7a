"""Learning from samples, and estimates from a generative model; one method a file."""
