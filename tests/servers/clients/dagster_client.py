"""Dagster's own client. The server is at BASE_URL, the token in TOKEN. Arguments: what to do.

  look      the jobs
  run       runs a job to its end; prints its state
  follow    the log of the last run, over a websocket as the UI does it; prints its last state
"""

import asyncio
import json
import os
import re
import sys
import time
from urllib.parse import urlsplit

import requests
import websockets
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

base = urlsplit(os.environ["BASE_URL"])
headers = {"Authorization": f"Bearer {token}"} if (token := os.environ["TOKEN"]) else {}
LOG = """subscription Log($run: ID!) { pipelineRunLogs(runId: $run) { __typename
  ... on PipelineRunLogsSubscriptionSuccess { messages { __typename } } } }"""
FINAL = ("SUCCESS", "FAILURE", "CANCELED")


def client():
    return DagsterGraphQLClient(base.hostname, port_number=base.port, headers=headers)


def ask(query):
    answer = requests.post(os.environ["BASE_URL"] + "/graphql", json={"query": query}, headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.json()["data"]


def look():
    found = ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }")
    return {"jobs": [job["name"] for node in found["repositoriesOrError"]["nodes"] for job in node["jobs"]]}


def run():
    asking = client()
    run_id = asking.submit_job_execution("nightly")
    while (state := asking.get_run_status(run_id).value) not in FINAL:
        time.sleep(0.2)
    return {"state": state}


async def log_of(run_id):
    """The kinds of the messages, until one tells of the end."""
    url = f"ws://{base.netloc}/graphql"
    async with websockets.connect(url, subprotocols=["graphql-ws"], additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {}}))
        start = {"id": "1", "type": "start", "payload": {"query": LOG, "variables": {"run": run_id}}}
        await socket.send(json.dumps(start))
        async for message in socket:
            payload = json.loads(message).get("payload", {}).get("data", {})
            for event in payload.get("pipelineRunLogs", {}).get("messages", []):
                if event["__typename"] in ("RunSuccessEvent", "RunFailureEvent"):
                    return event["__typename"]


def follow():
    runs = ask("{ runsOrError { ... on Runs { results { id } } } }")["runsOrError"]["results"]
    return {"last": asyncio.run(log_of(runs[0]["id"]))}


try:
    told = {"status": 200, **globals()[sys.argv[1]]()}
except websockets.InvalidStatus as error:
    told = {"status": error.response.status_code}
except requests.HTTPError as error:
    told = {"status": error.response.status_code}
except DagsterGraphQLClientError as error:
    # It keeps of the answer no more than these words.
    code = re.search(r"Server error with code (\d+)", str(error))
    told = {"status": int(code[1]) if code else None, "said": str(error)}
print(json.dumps(told))
