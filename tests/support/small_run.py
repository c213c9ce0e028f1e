"""A run that is small and still has something to look at: students that learn, chunks that are searched, skips."""

import json
import os
import subprocess
import sys

RECIPE = """
name: small
answer: yes_no
data: {{file: {data}, sizes: {{validation: 4, test: 12}}}}
student: {{vocab_size: 300, hidden_size: 48, num_layers: 2, num_heads: 2, max_length_tokens: 256}}
chunks: {{M: 3, method: greedy, research_every: 2, eta: 0.0}}
training: {{epochs: 12, batch_size: 8, learning_rate: 4.0e-3, warmup_steps: 0.0, save_steps: 10, chunk_dropout: 0.3,
  skip_weight: null, thought: per-chunk, methods: {{base: {{epochs: 2}}}}}}
skip: {{gate: answer}}
evaluation: {{batch_size: 8, alone_questions: 2, stage_questions: 4}}
methods: [base, base+sbc, stt]
workers: 2
"""
COLOURS, THINGS = ("red", "blue", "grey", "black"), ("ball", "box", "cup", "hat")


def small_rows():
    """48 questions that a small student learns to answer by one word of them."""
    rows = []
    for number in range(48):
        colour, thing = COLOURS[number % 4], THINGS[number // 4 % 4]
        size = ("big", "small", "big, so big")[number // 16]
        rationale = f"We look at the {thing}. It is {colour}. "
        rationale += f"It is {size}. " * (1 + number % 2) + "That is all."
        answer = "no" if size == "small" else "yes"
        question = f"Is the {size} {colour} {thing} big?"
        rows.append({"id": f"q{number}", "question": question, "rationale": rationale, "answer": answer})
    return rows


def write_small_recipe(folder):
    """Writes data and recipe; gives the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in small_rows()))
    path = folder / "small.yaml"
    path.write_text(RECIPE.format(data=data))
    return path


def run_small(*, out):
    """Runs the recipe; what is kept is the run folder. Gives what was printed."""
    recipe = write_small_recipe(out / "source")
    done = subprocess.run(
        [sys.executable, "-m", "skipthink", "run", str(recipe), "--out", str(out / "run")],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {"printed": done.stdout}
