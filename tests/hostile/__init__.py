"""Peers that misbehave, and a measurement of their effect on the host."""
