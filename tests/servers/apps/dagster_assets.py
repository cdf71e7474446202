"""Two assets and a job for Dagster."""

import dagster as dg


@dg.asset
def numbers() -> list[int]:
    return [1, 2, 3]


@dg.asset
def total(numbers: list[int]) -> int:
    return sum(numbers)


defs = dg.Definitions(assets=[numbers, total], jobs=[dg.define_asset_job("nightly", ["numbers", "total"])])
