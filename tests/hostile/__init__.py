"""Peers that misbehave, and the instrument that shows whether the host noticed."""
