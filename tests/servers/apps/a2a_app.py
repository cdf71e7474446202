"""An A2A 1.0 agent that answers what it is told in capitals, over JSON-RPC and REST on one port.

Argument: the port."""

import sys

import uvicorn
from a2a.helpers import get_message_text, new_task_from_user_message, new_text_artifact_update_event, new_text_status_update_event
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, TaskState
from starlette.applications import Starlette

port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}"
card = AgentCard(
    name="shouter",
    description="Shouts.",
    version="1.0.0",
    supported_interfaces=[
        AgentInterface(url=f"{url}/", protocol_binding="JSONRPC", protocol_version="1.0"),
        AgentInterface(url=url, protocol_binding="HTTP+JSON", protocol_version="1.0"),
    ],
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="shout", name="Shout", description="Shouts.", tags=["loud"])],
)


class Shouter(AgentExecutor):
    async def execute(self, context, event_queue):
        task = context.current_task or new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        where = {"task_id": task.id, "context_id": task.context_id}
        answer = get_message_text(context.message).upper()
        await event_queue.enqueue_event(new_text_artifact_update_event(name="answer", text=answer, **where))
        await event_queue.enqueue_event(
            new_text_status_update_event(text="done", state=TaskState.TASK_STATE_COMPLETED, **where)
        )

    async def cancel(self, context, event_queue):
        raise NotImplementedError


handler = DefaultRequestHandler(agent_executor=Shouter(), task_store=InMemoryTaskStore(), agent_card=card)
routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, rpc_url="/"), *create_rest_routes(handler)]
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port)
