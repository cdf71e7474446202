"""MLflow's own client. The server is at BASE_URL, the token in TOKEN. Arguments: what to do.

  train NAME      a run with a parameter, a metric and a file, and a registered model
  search          the names of the experiments, the metrics of the runs, and the file's text
  delete NAME     deletes an experiment
"""

import json
import os
import sys

if token := os.environ["TOKEN"]:
    os.environ["MLFLOW_TRACKING_TOKEN"] = token

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

mlflow.set_tracking_uri(os.environ["BASE_URL"])
client = MlflowClient()


def train(name):
    experiment = client.create_experiment(name)
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "depth", 3)
    client.log_metric(run, "accuracy", 0.9)
    client.log_text(run, "a note", "note.txt")
    client.set_terminated(run)
    client.create_registered_model(name)
    return {"run": run}


def search():
    experiments = client.search_experiments()
    runs = client.search_runs([found.experiment_id for found in experiments])
    texts = [mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") for run in runs]
    models = [model.name for model in client.search_registered_models()]
    return {
        "experiments": sorted(found.name for found in experiments),
        "metrics": [run.data.metrics for run in runs],
        "texts": texts,
        "models": models,
    }


def delete(name):
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)
    return {}


try:
    told = {"status": 200, **globals()[sys.argv[1]](*sys.argv[2:])}
except MlflowException as error:
    told = {"status": error.get_http_status_code(), "said": error.message}
print(json.dumps(told))
