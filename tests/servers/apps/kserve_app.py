"""KServe's server with two models that count what they are sent; argument: the port."""

import sys

import kserve
from kserve import model_server
from kserve.protocol.rest.server import RESTServer


class OnLoopback(RESTServer):
    """It has no setting for its address: it would listen on all that the machine has."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.config.host = "127.0.0.1"


class Counter(kserve.Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, kserve.InferRequest):
            count = sum(len(values.data) for values in payload.inputs)
            output = kserve.InferOutput(name="count", shape=[1], datatype="INT64", data=[count])
            return kserve.InferResponse(response_id="1", model_name=self.name, infer_outputs=[output])
        return {"predictions": [len(row) for row in payload["instances"]]}


model_server.RESTServer = OnLoopback
models = [Counter("small"), Counter("large")]
kserve.ModelServer(http_port=int(sys.argv[1]), enable_grpc=False).start(models)
