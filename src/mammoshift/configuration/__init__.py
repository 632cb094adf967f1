"""What is read from YAML, validated and resolved."""
