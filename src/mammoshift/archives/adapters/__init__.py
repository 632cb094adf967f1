"""Adapters, one module for each archive; a module that lies here is found by the registry."""
