"""Trains and deploys models of the server beside it, on 8502.

  POST /pipeline/NAME/train   {"examples": [[x, y], …]}: fits a new version; nobody is served it yet
  POST /pipeline/NAME/deploy  {"version": N}: moves it to where the server looks
  GET  /pipeline/NAME         which versions there are"""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy

SERVED = Path(os.environ["MODEL_BASE_PATH"])
# On the same volume, so that a version appears as a whole.
TRAINED = SERVED / ".trained"
PATH = re.compile(r"/pipeline/([a-z0-9-]+)(/train|/deploy)?")


def versions(folder):
    return sorted(int(found.name) for found in folder.glob("[0-9]*"))


def look(name):
    return {"trained": versions(TRAINED / name), "served": versions(SERVED / name)}


def train(name, examples):
    slope, intercept = numpy.polyfit(*numpy.asarray(examples, dtype=float).T, deg=1)
    version = 1 + max(versions(TRAINED / name) + versions(SERVED / name), default=0)
    folder = TRAINED / name / str(version)
    folder.mkdir(parents=True)
    numpy.savez(folder / "model.npz", slope=slope, intercept=intercept)
    return {"version": version}


def deploy(name, version):
    version = str(int(version))
    (SERVED / name).mkdir(exist_ok=True)
    (TRAINED / name / version).rename(SERVED / name / version)
    return {"served": int(version)}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(lambda name, what: look(name) if what is None else None)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        acts = {"/train": lambda name: train(name, asked["examples"]), "/deploy": lambda name: deploy(name, asked["version"])}
        self.answer(lambda name, what: acts[what](name) if what in acts else None)

    def answer(self, act):
        path = PATH.fullmatch(self.path)
        try:
            said = act(*path.groups()) if path else None
            code = 404 if said is None else 200
        except (KeyError, TypeError, ValueError, OSError) as error:
            code, said = 400, {"error": repr(error)}
        body = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


name = os.environ["MODEL_NAME"]
if not versions(SERVED / name):
    # TensorFlow Serving's own first example: half of it plus two.
    deploy(name, train(name, [[0, 2], [2, 3], [4, 4]])["version"])
HTTPServer(("", 8502), Handler).serve_forever()
