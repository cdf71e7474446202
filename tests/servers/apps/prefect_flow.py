"""The flow that a worker runs."""

from prefect import flow, task


@task
def double(number: int) -> int:
    return 2 * number


@flow(log_prints=True)
def doubled(number: int = 21) -> int:
    result = double(number)
    print(f"doubled: {result}")
    return result
