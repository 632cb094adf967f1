"""What is trained on and judged: labels, units, splits, and the proof that nothing leaks."""
