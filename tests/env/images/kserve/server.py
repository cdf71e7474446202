"""KServe's model server with two models that count what they are sent, on 8080."""

import kserve


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


kserve.ModelServer(http_port=8080, enable_grpc=False).start([Counter("small"), Counter("large")])
