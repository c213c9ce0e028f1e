"""The offline test bed: small students that were pre-trained on primitives, to be fine-tuned on `skipthink.tasks`."""
