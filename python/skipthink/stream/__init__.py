"""Chunking of more rationales than fit into memory."""
