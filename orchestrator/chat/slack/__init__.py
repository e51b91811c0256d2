"""Slack, with slack-bolt: `Slack` is the adapter, and each other file one part of it."""

from .adapter import Slack

__all__ = ["Slack"]
