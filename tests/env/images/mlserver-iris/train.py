"""Trains a classifier on the iris data set, which scikit-learn brings along."""

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, species = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000).fit(features, species)
accuracy = model.score(features, species)
print(f"accuracy on the training data: {accuracy:.3f}")
if accuracy < 0.9:
    sys.exit("the model did not learn")
joblib.dump(model, sys.argv[1])
