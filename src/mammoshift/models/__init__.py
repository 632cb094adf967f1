"""What a model is: architectures, heads, the saved model; what loading one needs and no more."""
