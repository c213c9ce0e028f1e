"""A run folder written by hand: any texts, any size, nothing trained; as `skipthink run` lays it out."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skipthink import average_boundaries, split_steps_batch
from skipthink.inspection.layout import JOBS_SCHEMA, READABLE

METHODS = ("base", "base+sbc", "stt")
CHUNKS = 3
MARKERS = ("[1]", "[2]", "[3]", "[answer]", "[skip]", "[thought]", "<end>")
RECIPE = {
    "name": "made",
    "task": "counting",
    "chunks": {"M": CHUNKS, "rules": "auto", "objective": "max", "eta": 0.1, "scope": "pair", "min_steps": 1},
    "skip": {"continuation": "student"},
    "evaluation": {"split": "test"},
}


def rows_of(split, n):
    """Samples that differ from each other, of three to six steps."""
    rows = []
    for number in range(n):
        counted = " ".join(f"There are {number + step} apples." for step in range(1 + number % 4))
        rationale = f"We count the apples of basket {number}. {counted} That is all."
        question = f"How many apples are in basket {number}?"
        rows.append(
            {"id": f"{split}-{number}", "question": question, "rationale": rationale, "answer": str(number)}
        )
    return rows


def output_of(method, row, number):
    """What a method answers: Base errs on every third question, STT on every fourth, on shorter ways."""
    period = {"base": 3, "stt": 4}.get(method, 5)
    is_right = number % period != 0
    chain = row["rationale"] if method != "stt" else "[thought] " + row["rationale"][-40:]
    answer = row["answer"] if is_right else "none of them"
    return {
        "chain": chain,
        "answer": answer if number % 7 != 6 else None,
        "verdict": "unparsed" if number % 7 == 6 else "right" if is_right else "wrong",
        "tokens": 20 + number % 9 if method == "stt" else 45 + number % 30,
        "prompt_tokens": 12,
        "ended": number % 11 != 10,
        "looped": number % 13 == 12,
    }


class MadeRun:
    """Writes a run folder.

    Args:
        path: the folder.
        n_test: evaluated samples.
        n_train: training samples.
        methods: what was compared.
        seeds: the seeds.
        change: called with (field, text), gives the text that is written; for texts that mean harm.
        recipe: what differs from `RECIPE`.
        output: gives what a method answers, from its name, the sample and its number.
        rows: gives the samples of a split, from its name and their number.
    """

    def __init__(
        self,
        path,
        n_test=30,
        n_train=12,
        methods=METHODS,
        seeds=(0,),
        change=None,
        recipe=None,
        output=output_of,
        rows=rows_of,
    ):
        self.path, self.methods, self.seeds = path, methods, seeds
        self.change = change or (lambda field, text: text)
        self.recipe = RECIPE | (recipe or {})
        self.output = output
        self.test, self.train = (
            [self._changed(row) for row in rows(split, n)]
            for split, n in (("test", n_test), ("train", n_train))
        )
        self.jobs, self.parts = {}, {}

    def write(self):
        """Writes everything; gives the folder."""
        import yaml

        self.path.mkdir(parents=True)
        (self.path / "recipe.yaml").write_text(yaml.safe_dump(self.recipe, allow_unicode=False))
        self._write_data()
        for seed in self.seeds:
            self._write_student(seed)
            for method in self.methods:
                self._write_training(method, seed)
            if "stt" in self.methods:
                self._write_skips(seed)
        self._job("evaluate", result={"evaluated": len(self.methods) * len(self.seeds)})
        for seed in self.seeds:
            for method in self.methods:
                self._write_predictions(method, seed)
        content = {"schema": JOBS_SCHEMA, "data": None, "jobs": self.jobs, "evaluations": self.parts}
        (self.path / "jobs.json").write_text(json.dumps(content))
        results = {"schema": 2, "task": self.recipe["task"], "recipe": self.recipe["name"]}
        results |= {"versions": {"python": "3", "skipthink": "0"}, "machine": {"system": "a test"}}
        (self.path / "results.json").write_text(json.dumps(results | {"methods": [], "summary": {}}))
        return self.path

    def _changed(self, row):
        return {field: self.change(field, text) for field, text in row.items()}

    def _job(self, kind, method=None, seed=None, folder=None, result=None, seconds=1.5, table=None):
        name = "/".join(part for part in (kind, method, None if seed is None else f"s{seed}") if part)
        entry = {"kind": kind, "method": method, "seed": seed, "fold": None, "folder": folder or name}
        table = self.jobs if table is None else table
        table[name] = entry | {"fingerprint": "0", "skipthink": "0", "format": READABLE[kind]}
        path = self.path / entry["folder"]
        path.mkdir(parents=True, exist_ok=True)
        done = {"schema": 2, "job": name, "seconds": seconds, "result": result or {}}
        (path / "done.json").write_text(json.dumps(done))
        return path

    def _write_data(self):
        folder = self._job("prepare", folder="data")
        for split, rows in (("test", self.test), ("train", self.train), ("validation", self.test[:1])):
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")

    def _write_student(self, seed):
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        self.tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
        self.tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self.tokenizer.decoder = decoders.ByteLevel()
        self.tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in MARKERS])
        self.tokenizer.save(str(self._job("student", seed=seed) / "tokenizer.json"))

    def _write_training(self, method, seed):
        result = {
            "train_steps": 20,
            "items": {"1": 4, "2": 4, "3": 4, "0": 4} if method != "base" else {"-2": 4},
        }
        folder = self._job("train", method, seed, result=result, seconds=30.0)
        (folder / "train.json").write_text(json.dumps(result))
        log = [{"step": 5 * step, "epoch": step / 2, "loss": 3 / step} for step in range(1, 5)]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
        ids = [row["id"] for row in self.train]
        steps = split_steps_batch([row["rationale"] for row in self.train]).n_steps
        boundaries = average_boundaries(steps, CHUNKS)
        chunks = {"id": ids, "boundaries": boundaries.tolist()}
        pq.write_table(pa.table(chunks), folder / "chunks.parquet")
        if method == "base+sbc":
            moved = np.clip(
                boundaries + np.asarray([0, 1, 0, 0]), 0, boundaries[:, 2:3].clip(min=0) * [1, 1, 1, 9]
            )
            moved[:, -1] = boundaries[:, -1]
            epochs = {"id": ids, "boundaries": np.stack([boundaries, moved], axis=1).tolist()}
            pq.write_table(pa.table(epochs), folder / "epochs.parquet")
            losses = [[[0.2 + 0.7 * (step % 3)] * CHUNKS for step in range(count)] for count in steps]
            ends = [[[0.1] * CHUNKS] * (count + 1) for count in steps]
            table = {
                "id": ids,
                "losses": losses,
                "n_tokens": [[5] * count for count in steps],
                "end_losses": ends,
            }
            pq.write_table(pa.table(table), folder / "losses.parquet")
        self._write_items(folder, method)

    def _write_items(self, folder, method):
        def encode(text):
            return self.tokenizer.encode(text).ids

        (end,) = encode("<end>")
        items = []
        for row in self.train:
            stages = {"base": (-2,), "stt": (1, -1, -1)}.get(method, (1, 0))
            for stage in stages:
                mark = {1: "[1]", 0: "[answer]", -1: "[skip]"}.get(stage, "")
                target = row["rationale"][:200] if stage else row["answer"]
                prompt = encode(mark + row["question"][:200] + "\n")
                items.append(
                    {
                        "id": row["id"],
                        "stage": stage,
                        "prompt_ids": prompt,
                        "target_ids": [*encode(target), end],
                    }
                )
        pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")

    def _write_skips(self, seed):
        folder = self._job("skip-data", seed=seed, result={"asked": 1}, seconds=12.0)
        steps = split_steps_batch([row["rationale"] for row in self.train]).n_steps
        boundaries = average_boundaries(steps, CHUNKS).tolist()
        skipped = [[number % 2 == 0, False, number % 3 == 0] for number in range(len(self.train))]
        ids = [row["id"] for row in self.train]
        pq.write_table(
            pa.table({"id": ids, "boundaries": boundaries, "skipped": skipped}), folder / "skip.parquet"
        )
        replies = [
            {
                "id": row["id"],
                "chunk": chunk,
                "vote": 0,
                "text": self.change("reply", f"reply to {row['id']} without {chunk}"),
                "answer": self.change("judged answer", row["answer"]),
                "verdict": "right" if chunk == 0 or flags[chunk - 1] else "wrong",
                "tokens": 9,
                "regrown": False,
                "right": chunk == 0 or flags[chunk - 1],
            }
            for row, flags in zip(self.train, skipped, strict=True)
            for chunk in range(CHUNKS + 1)
        ]
        pq.write_table(pa.Table.from_pylist(replies), folder / "transcript.parquet")
        (folder / "report.json").write_text(json.dumps({"asked": len(replies)}))

    def _write_predictions(self, method, seed):
        outputs = [self.output(method, row, number + seed) for number, row in enumerate(self.test)]
        right = sum(output["verdict"] == "right" for output in outputs)
        n = len(outputs)
        result = {
            "n": n,
            "right": right,
            "wrong": n - right,
            "unparsed": sum(output["verdict"] == "unparsed" for output in outputs),
            "looped": sum(output["looped"] for output in outputs),
            "accuracy": right / n,
            "tokens_per_answer": sum(output["tokens"] for output in outputs) / n,
            "prompt_tokens_per_answer": 12.0,
            "seconds_per_answer": 0.02 if method == "base" else 0.01,
            "seconds_per_answer_alone": None,
            "stage_accuracy": [0.5, 0.6, 0.8, 1.0] if method == "base+sbc" else None,
            "n_stage": 4 if method == "base+sbc" else 0,
            "device": "cpu",
        }
        folder = self._job("evaluate", method, seed, result=result, table=self.parts)
        rows = [
            {"id": row["id"], "gold": row["answer"]}
            | output
            | {
                "chain": self.change("chain", output["chain"]),
                "answer": output["answer"] and self.change("output", output["answer"]),
            }
            for row, output in zip(self.test, outputs, strict=True)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet")
