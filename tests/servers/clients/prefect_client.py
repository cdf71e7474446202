"""Prefect's own client, as the scripts and workers of a data team use it. The server is at BASE_URL, the token in TOKEN.

Arguments: what to do.
  deploy FOLDER      makes the work pool and the deployment
  run                asks for a run; prints its id
  work               runs a worker until it has done what is due
  wait ID            waits for the run's end; prints its state
  look               reads flows
  listen             follows the events over a websocket, until its own comes
"""

import asyncio
import json
import os
import subprocess
import sys
from uuid import UUID

# Prefect's settings are read when it is imported. The headers go to its websockets too, which its own key does not.
os.environ["PREFECT_API_URL"] = os.environ["BASE_URL"] + "/api"
if token := os.environ["TOKEN"]:
    os.environ["PREFECT_CLIENT_CUSTOM_HEADERS"] = json.dumps({"Authorization": f"Bearer {token}"})

import httpx
from prefect import flow, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import StateType
from prefect.events import Event, Resource
from prefect.events.clients import get_events_client, get_events_subscriber
from prefect.workers.process import ProcessWorker

POOL, DEPLOYMENT = "metal", "doubled/nightly"


async def deploy(folder):
    # A pool that has no template yet would be given it by its first worker, who then needs the right to change pools.
    template = ProcessWorker.get_default_base_job_template()
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    source = await flow.from_source(source=folder, entrypoint="prefect_flow.py:doubled")
    return {"deployment": str(await source.deploy(name="nightly", work_pool_name=POOL, print_next_steps=False))}


async def run():
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        created = await client.create_flow_run_from_deployment(deployment.id)
    return {"run": str(created.id)}


async def work():
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--run-once"]
    subprocess.run(worker, check=True)
    return {}


async def wait(run_id):
    async with get_client() as client:
        while not (state := (await client.read_flow_run(UUID(run_id))).state).is_final():
            await asyncio.sleep(0.2)
        logged = []
        # Logs arrive in batches, after the run.
        while state.type == StateType.COMPLETED and not any("doubled: 42" in line for line in logged):
            wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run_id)]))
            logged = [log.message for log in await client.read_logs(wanted)]
            await asyncio.sleep(0.2)
    return {"state": state.type.value, "message": state.message}


async def look():
    async with get_client() as client:
        return {"flows": [flow.name for flow in await client.read_flows()]}


async def listen():
    event = Event(event="keywire.heard", resource=Resource({"prefect.resource.id": "keywire.test"}))
    async with get_events_subscriber() as subscriber, get_events_client() as client:
        await client.emit(event)
        async for heard in subscriber:
            if heard.id == event.id:
                return {"heard": heard.event}


async def main(what, *arguments):
    try:
        told = {"status": 200, **await globals()[what](*arguments)}
    except httpx.HTTPStatusError as error:
        told = {"status": error.response.status_code, "reason": error.response.json().get("reason")}
    print(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
