"""Decorators that make a task of a function in a Dag."""
