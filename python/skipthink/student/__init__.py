"""The student: its model and tokenizer, what stands around a question, how it reads and writes."""
