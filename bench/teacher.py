"""What asking through the teacher costs beside a bare loop of the same client, and whether its memory stays flat.

    python bench/teacher.py [--questions 20000] [--concurrency 256]

Both ask the endpoint of the tests on loopback, each in a process of its own, in turns: bare loop, teacher, bare loop,
teacher. The teacher claims each request, writes each answer before it counts, and in the end filters and writes its
tables, which is timed apart. Memory is the resident set of its process at a quarter of the answers and at their end.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "tests" / "teacher" / "endpoint_server.py"


def question(number):
    return f"What is {number} + {3 * number + 1}?"


async def ask_bare(base_url, n_questions, concurrency):
    import openai

    from skipthink.teacher.endpoint import _limits

    client = openai.AsyncOpenAI(
        api_key="none",
        base_url=base_url,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(limits=_limits(concurrency)),
    )
    numbers = iter(range(n_questions))
    texts = []

    async def work():
        for number in numbers:
            reply = await client.chat.completions.create(
                model="teacher",
                messages=[{"role": "user", "content": question(number)}],
                max_tokens=64,
                temperature=0.0,
            )
            texts.append(reply.choices[0].message.content)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await client.close()
    assert len(texts) == n_questions
    return {"seconds": seconds, "rate": n_questions / seconds, "cpu_ms_per_request": 1000 * cpu / n_questions}


def ask_teacher(base_url, n_questions, concurrency):
    import psutil
    import pyarrow as pa

    from skipthink.teacher import EndpointOptions, PromptOptions, SamplingOptions, TeacherOptions
    from skipthink.teacher.lesson import Lesson
    from skipthink.teacher.teaching import teach

    process = psutil.Process()
    seen = []
    progress = Lesson.progress

    def watched(self, n_samples):
        seen.append((self.done, process.memory_info().rss))
        return progress(self, n_samples)

    Lesson.progress = watched
    table = pa.table(
        {
            "id": [str(number) for number in range(n_questions)],
            "question": [question(number) for number in range(n_questions)],
            "answer": [str(4 * number + 1) for number in range(n_questions)],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        prompt = Path(folder) / "bare.yaml"
        prompt.write_text('turns: [{ask: "{question}", gives: rationale}]\n')
        options = TeacherOptions(
            endpoint=EndpointOptions(base_url=base_url, model="teacher", concurrency=concurrency),
            prompt=PromptOptions(name=str(prompt)),
            sampling=SamplingOptions(max_tokens=64),
        )
        started, cpu = time.perf_counter(), time.process_time()
        taught = teach(table, options, Path(folder) / "out", kind="number", say=lambda text: None)
        whole, cpu = time.perf_counter() - started, time.process_time() - cpu
    report = taught.report
    assert report["answers"]["asked"]["answers"] == n_questions, report
    quarter = next(rss for done, rss in seen if done >= n_questions / 4)
    return {
        "seconds": report["seconds_asking"],
        "rate": n_questions / report["seconds_asking"],
        "seconds_with_tables": whole,
        "cpu_ms_per_request": 1000 * cpu / n_questions,
        "memory_quarter_MiB": quarter / 2**20,
        "memory_end_MiB": seen[-1][1] / 2**20,
        "kept": report["kept"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--part", choices=("bare", "teacher"))
    parser.add_argument("--base-url")
    given = parser.parse_args()
    if given.part == "bare":
        print(json.dumps(asyncio.run(ask_bare(given.base_url, given.questions, given.concurrency))))
        return
    if given.part == "teacher":
        print(json.dumps(ask_teacher(given.base_url, given.questions, given.concurrency)))
        return
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        server = subprocess.Popen([sys.executable, str(SERVER), str(port_file)], stdin=subprocess.PIPE)
        while not port_file.exists():
            time.sleep(0.05)
        address = f"http://127.0.0.1:{port_file.read_text()}"
        made = urllib.request.Request(f"{address}/new", json.dumps({"log": f"{folder}/log"}).encode())
        with urllib.request.urlopen(made) as response:
            base_url = address + response.read().decode()
        for _ in range(given.rounds):
            for part in ("bare", "teacher"):
                command = [sys.executable, __file__, "--part", part, "--base-url", base_url,
                           "--questions", str(given.questions), "--concurrency", str(given.concurrency)]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                result = json.loads(done.stdout.splitlines()[-1])
                print(part, {name: round(value, 2) for name, value in result.items()}, flush=True)
        server.stdin.close()
        server.wait(10)


if __name__ == "__main__":
    main()
