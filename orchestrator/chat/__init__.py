"""The chat front door: one grammar, one set of replies, and one small file for each chat service."""
