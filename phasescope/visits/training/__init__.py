"""Probing while a model trains: the model found in its wrappers, the run written step by step, the time it takes."""
