"""A stand-in for TensorFlow Serving's model server: its documented REST API on 8501, over linear models of one feature.

As the upstream image does, it reads MODEL_NAME and MODEL_BASE_PATH, and serves each version that is a folder below both. A
version is here a file model.npz with a slope and an intercept, not a SavedModel."""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy

NAME = os.environ["MODEL_NAME"]
FOLDER = Path(os.environ["MODEL_BASE_PATH"], NAME)
PATH = re.compile(r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+))?(?P<rest>/metadata|:[a-z]+)?")


class Failed(Exception):
    def __init__(self, status, error):
        super().__init__(error)
        self.status = status


def versions():
    return sorted(int(found.parent.name) for found in FOLDER.glob("[0-9]*/model.npz"))


class Model:
    """One version; the latest where none is asked for."""

    def __init__(self, name, version):
        known = versions()
        self.version = int(version) if version else max(known, default=0)
        if name != NAME or self.version not in known:
            which = f"Specific({name}, {version})" if version else f"Latest({name})"
            raise Failed(404, f"Servable not found for request: {which}")
        with numpy.load(FOLDER / str(self.version) / "model.npz") as stored:
            # DT_FLOAT, as the metadata say.
            self.slope, self.intercept = (numpy.float32(stored[name]) for name in ("slope", "intercept"))

    def of(self, features):
        return (numpy.asarray(features, dtype=numpy.float32) * self.slope + self.intercept).tolist()

    def predict(self, asked):
        if "instances" in asked:
            return {"predictions": self.of(asked["instances"])}
        return {"outputs": self.of(asked["inputs"])}

    def regress(self, asked):
        return {"results": self.of([example["x"] for example in asked["examples"]])}

    def classify(self, asked):
        scores = 1 / (1 + numpy.exp(-numpy.asarray(self.regress(asked)["results"])))
        return {"results": [[["low", 1 - score], ["high", score]] for score in scores.tolist()]}

    def metadata(self):
        signature = {
            "inputs": {"x": {"dtype": "DT_FLOAT", "name": "x:0"}},
            "outputs": {"y": {"dtype": "DT_FLOAT", "name": "y:0"}},
            "method_name": "tensorflow/serving/predict",
        }
        return {
            "model_spec": {"name": NAME, "signature_name": "", "version": str(self.version)},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
        }


def status(name, version):
    shown = [Model(name, version).version] if version else versions()
    if name != NAME or not shown:
        raise Failed(404, f"Could not find any versions of model {name}")
    good = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": str(v), "state": "AVAILABLE", "status": good} for v in reversed(shown)]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(self.look)

    def do_POST(self):
        self.answer(self.ask)

    def look(self, name, version, rest):
        if rest == "/metadata":
            return Model(name, version).metadata()
        if rest is None:
            return status(name, version)
        raise Failed(400, f"Malformed request: GET {self.path}")

    def ask(self, name, version, rest):
        if rest not in (":predict", ":classify", ":regress"):
            raise Failed(400, f"Malformed request: POST {self.path}")
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        return getattr(Model(name, version), rest[1:])(asked)

    def answer(self, act):
        try:
            path = PATH.fullmatch(self.path)
            if path is None:
                raise Failed(400, f"Malformed request: {self.command} {self.path}")
            code, said = 200, act(path["name"], path["version"], path["rest"])
        except Failed as error:
            code, said = error.status, {"error": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            code, said = 400, {"error": f"JSON Parse error: {error!r}"}
        body = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8501), Handler).serve_forever()
