"""Slack, with slack-bolt: `Slack` is the adapter, and each other file one part of it."""

from .adapter import Patience, Slack

__all__ = ["Patience", "Slack"]
