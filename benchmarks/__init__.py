"""Figures of the README and docs, each by one command; results lie in `benchmarks/results`."""
