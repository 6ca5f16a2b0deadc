"""Stores artifacts with MLflow; runs in the peers environment, driven by `benchmarks/store.py`.

Usage: mlflow_peer.py direct DATABASE_URL ARTIFACT_FOLDER | client SERVER_URL | rest SERVER_URL

Rules:
- One artifact is one run: its metadata are the run's tags, written with the run in one call (parameters would take a
  second one), its bytes the run's only file. The run is not marked as finished, which would take another call.
- A line of JSON in is a block of operations, a line of JSON out what they gave and the seconds of each, taken here:
  what the conversation costs does not count. The files to be stored are there before; what was read is hashed after.
- `direct` uses the stores that MLflow's own server uses, in this process. `client` is MlflowClient; `rest` the HTTP
  calls below it, one each for metadata and bytes, over one kept connection.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXPERIMENT = "bench"
NAME = "body.bin"


class Store(ABC):
    """One way to MLflow."""

    @abstractmethod
    def put(self, file: Path, tags: Mapping[str, str]) -> str:
        """Store a file with metadata; gives the run's id."""

    @abstractmethod
    def get(self, run_id: str) -> tuple[Mapping[str, str], bytes]:
        """Metadata and bytes."""

    @abstractmethod
    def latest(self, count: int) -> list[str]:
        """Ids of the newest, with their metadata read."""


class Direct(Store):
    """MLflow's stores in this process."""

    def __init__(self, database_url: str, folder: str) -> None:
        from mlflow.entities import RunTag
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        self._tag, self._repository = RunTag, get_artifact_repository
        self._store = SqlAlchemyStore(database_url, folder)
        self._experiment = self._store.create_experiment(EXPERIMENT)

    def put(self, file: Path, tags: Mapping[str, str]) -> str:
        run = self._store.create_run(
            experiment_id=self._experiment,
            user_id="bench",
            start_time=int(time.time() * 1000),
            tags=[self._tag(key, value) for key, value in tags.items()],
            run_name=tags["name"],
        )
        self._repository(run.info.artifact_uri).log_artifact(str(file))
        return run.info.run_id

    def get(self, run_id: str) -> tuple[Mapping[str, str], bytes]:
        run = self._store.get_run(run_id)
        return run.data.tags, Path(self._repository(run.info.artifact_uri).download_artifacts(NAME)).read_bytes()

    def latest(self, count: int) -> list[str]:
        from mlflow.entities import ViewType

        found = self._store.search_runs([self._experiment], "", ViewType.ACTIVE_ONLY, max_results=count)
        return [run.info.run_id for run in found]


class Client(Store):
    """MlflowClient."""

    def __init__(self, url: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=url)
        self._experiment = self._client.create_experiment(f"{EXPERIMENT}-client")
        self._folder = tempfile.mkdtemp(prefix="mlflow-peer-")

    def put(self, file: Path, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment, tags=dict(tags), run_name=tags["name"])
        self._client.log_artifact(run.info.run_id, str(file))
        return run.info.run_id

    def get(self, run_id: str) -> tuple[Mapping[str, str], bytes]:
        run = self._client.get_run(run_id)
        return run.data.tags, Path(self._client.download_artifacts(run_id, NAME, self._folder)).read_bytes()

    def latest(self, count: int) -> list[str]:
        return [run.info.run_id for run in self._client.search_runs([self._experiment], max_results=count)]

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class Rest(Store):
    """The HTTP calls themselves."""

    def __init__(self, url: str) -> None:
        import requests

        self._session, self._url = requests.Session(), url
        self._experiment = self._call("post", "mlflow/experiments/create", json={"name": f"{EXPERIMENT}-rest"})[
            "experiment_id"
        ]

    def put(self, file: Path, tags: Mapping[str, str]) -> str:
        run = self._call(
            "post",
            "mlflow/runs/create",
            json={
                "experiment_id": self._experiment,
                "start_time": int(time.time() * 1000),
                "run_name": tags["name"],
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            },
        )["run"]
        run_id = run["info"]["run_id"]
        self._send("put", self._artifact(run_id), data=file.read_bytes())
        return str(run_id)

    def get(self, run_id: str) -> tuple[Mapping[str, str], bytes]:
        run = self._call("get", "mlflow/runs/get", params={"run_id": run_id})["run"]
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        return tags, self._send("get", self._artifact(run_id)).content

    def latest(self, count: int) -> list[str]:
        wanted = {"experiment_ids": [self._experiment], "max_results": count}
        return [run["info"]["run_id"] for run in self._call("post", "mlflow/runs/search", json=wanted)["runs"]]

    def _artifact(self, run_id: str) -> str:
        return f"mlflow-artifacts/artifacts/{self._experiment}/{run_id}/artifacts/{NAME}"

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        return self._send(method, path, **arguments).json()

    def _send(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._session.request(method, f"{self._url}/api/2.0/{path}", timeout=60, **arguments)
        answer.raise_for_status()
        return answer


def work(store: Store, order: Mapping[str, Any]) -> dict[str, Any]:
    """One block."""
    seconds, results = [], []
    for item in order["items"]:
        began = time.perf_counter()
        if order["do"] == "put":
            given: Any = store.put(Path(item["file"]), item["tags"])
        elif order["do"] == "get":
            given = store.get(item)
        else:
            given = store.latest(item)
        seconds.append(time.perf_counter() - began)
        results.append(
            [given[0]["output_hash"], hashlib.sha256(given[1]).hexdigest()] if order["do"] == "get" else given
        )
    return {"seconds": seconds, "results": results}


def main() -> None:
    """Answer blocks until the input ends."""
    kind, *where = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever MLflow prints is no answer
    store = {"direct": Direct, "client": Client, "rest": Rest}[kind](*where)
    try:
        print(json.dumps({"ready": kind}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(work(store, json.loads(line))), file=answers, flush=True)
    finally:
        if isinstance(store, Client):
            store.close()


if __name__ == "__main__":
    main()
