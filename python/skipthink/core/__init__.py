"""What is computed from arrays alone: steps, chunks, the skip ledger, item plans. Needs numpy only."""
