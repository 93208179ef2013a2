"""Owners of media: sources that bring it, viewings that take it."""
