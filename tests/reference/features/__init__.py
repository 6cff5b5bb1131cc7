"""Who else computes our features: one table for the parity tests, the benchmark and the README's figures."""
