"""Meanings without any wire format: ids, channels, commands."""
