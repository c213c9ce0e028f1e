"""Offline batches: request files for the batch API of an endpoint, and its result files.

    FOLDER/requests-<hash>.jsonl    one request per line, known by its hash (`custom_id`); sent by you
    FOLDER/results/*.jsonl          what the endpoint returns, put there by you

A request that is in a request file is not written again, unless its result is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skipthink.exceptions import DataError
from skipthink.io.files import parse_object, write_text
from skipthink.teacher.asking import Lost
from skipthink.teacher.endpoint import body_of
from skipthink.teacher.halting import OpenError, WaitingError
from skipthink.teacher.options import BatchOptions
from skipthink.teacher.replies import FaultyReplyError, parse_reply
from skipthink.teacher.requests import Reply, Request

URL = "/v1/chat/completions"
_CONCURRENCY = 64
_SHOWN = 200


class BatchTeacher:
    """Writes requests and reads results.

    Args:
        options: model and largest number of requests per file.
        folder: folder of the files.

    Attributes:
        written: request files of this call, known when the teacher is closed.

    Raises:
        DataError: a file in the folder does not belong to a batch.
    """

    concurrency = _CONCURRENCY

    def __init__(self, options: BatchOptions, folder: Path) -> None:
        self.model, self._options, self._folder = options.model, options, folder
        self.faults: Counter[str] = Counter()
        self.written: list[Path] = []
        self._outgoing: list[str] = []
        self._sent = {line["custom_id"] for _, line in _lines(folder, "requests-*.jsonl")}
        self._results = self._read_results()
        self._failed: dict[str, str] = {}

    @property
    def results_folder(self) -> Path:
        """Folder of the result files."""
        return self._folder / "results"

    async def answer(self, request: Request, lost: Lost) -> Reply:
        """The reply in a result file; a request without one goes into the next request file.

        Raises:
            WaitingError: its result is not there yet.
            OpenError: its result is an error that another attempt cannot mend.
        """
        del lost
        result = self._results.get(request.key)
        if result is not None:
            try:
                return self._reply(result)
            except FaultyReplyError as error:
                self.faults[str(error)] += 1  # asked once more
        elif request.key in self._sent:
            raise WaitingError("waits for the result of its batch")
        body = body_of(request, self._options.tokens_name)
        line = {"custom_id": request.key, "method": "POST", "url": URL, "body": body}
        self._outgoing.append(json.dumps(line))
        raise WaitingError("stands in a request file")

    async def close(self) -> None:
        """Writes the request files."""
        most = self._options.max_requests
        for start in range(0, len(self._outgoing), most):
            # the order in which conversations came does not matter
            text = "\n".join(sorted(self._outgoing[start : start + most])) + "\n"
            path = self._folder / f"requests-{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"
            write_text(path, text)
            self.written.append(path)
        self._outgoing = []
        self.results_folder.mkdir(parents=True, exist_ok=True)

    def _reply(self, result: dict[str, Any]) -> Reply:
        response = result.get("response")
        status = response.get("status_code") if isinstance(response, dict) else None
        if status == 200 and isinstance(response, dict):
            return parse_reply(response.get("body"))
        if status is not None and 400 <= int(status) < 500 and int(status) not in (408, 409, 429):
            self.faults[f"status {status}"] += 1
            raise OpenError(f"refused: {_short(response)}")
        raise FaultyReplyError(f"status {status}" if status is not None else "batch error")

    def _read_results(self) -> dict[str, dict[str, Any]]:
        """Results by the hash of their request; of several results the one that is an answer."""
        results: dict[str, dict[str, Any]] = {}
        for place, line in _lines(self.results_folder, "*.jsonl"):
            if "response" not in line and "error" not in line:
                raise DataError(
                    f"{place} has neither response nor error; put result files of the batch API here"
                )
            key = line["custom_id"]
            if key not in results or not _is_answer(results[key]):
                results[key] = line
        return results


def _is_answer(result: dict[str, Any]) -> bool:
    response = result.get("response")
    return isinstance(response, dict) and response.get("status_code") == 200


def _lines(folder: Path, pattern: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob(pattern)):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                place = f"{path}, line {number}"
                record = parse_object(line, place) if line.strip() else {}
                if not isinstance(record.get("custom_id"), str):
                    raise DataError(f"{place} has no custom_id; it is no line of a batch file: remove it")
                yield place, record


def _short(value: object) -> str:
    text = " ".join(json.dumps(value).split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
