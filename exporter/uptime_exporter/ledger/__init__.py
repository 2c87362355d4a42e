"""Outcomes in, seconds and spans out; a pure core, and a store that makes it last."""
