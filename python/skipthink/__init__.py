"""skipthink: chunk-wise chain-of-thought distillation (Skip-Thinking, arXiv 2505.18642)."""
