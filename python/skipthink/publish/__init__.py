"""Trained students and their items for other programs: folders, model cards, exports."""
