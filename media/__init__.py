"""Relay control in Python; packets never become Python objects."""
