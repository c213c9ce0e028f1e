"""A Ray cluster: how it is found or started, and how work that was given to it has ended."""
