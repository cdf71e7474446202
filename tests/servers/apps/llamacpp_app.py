"""llama.cpp's server as a router of two models, which are written into the working directory. Argument: its port on loopback."""

import os
import sys

import llamacpp_models

os.mkdir("models")
llamacpp_models.write_all("models")
program = os.path.join(os.path.dirname(sys.executable), "llama-server")
arguments = ["--models-dir", "models", "--host", "127.0.0.1", "--port", sys.argv[1], "--threads", "1", "--parallel", "1"]
os.execv(program, [program, *arguments, "--offline", "--no-warmup"])
