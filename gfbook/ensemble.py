"""The same calculation for many random draws: in this process, on its cores or on a cluster."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, as_completed
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

T = TypeVar("T")


class Ensemble(NamedTuple, Generic[T]):
    """Results by seed, and the last exception of every seed that has none."""

    results: dict[int, T]
    failures: dict[int, Exception]


def map(
    function: Callable[[np.random.Generator], T],
    seeds: Iterable[int],
    executor: Executor | None = None,
    retries: int = 1,
) -> Ensemble[T]:
    """Call `function(numpy.random.default_rng(seed))` for every seed.

    A call sees its own generator and nothing else, so where and in which order the seeds run
    does not change a bit of the results, as long as NumPy's linear algebra is the same library
    with the same number of threads (Dask workers use one). Without an executor the seeds run in
    this process, one after the other. A progress bar shows on a terminal.

    Parameters
    ----------
    function : callable
        Takes a numpy.random.Generator. An executor of processes must be able to pickle it.
    seeds : iterable of int
        Distinct seeds >= 0.
    executor : concurrent.futures.Executor, optional
        Where to run: `ProcessPoolExecutor()` for the cores of this machine, or
        `distributed.Client(address).get_executor()` for a Dask cluster, which also replaces
        workers that die.
    retries : int
        How many more times a failed seed is tried.

    Returns
    -------
    Ensemble
        `results` and `failures`, in the order of the seeds; the seeds that failed can be passed
        in again. A failed seed stops no other; look at `failures` before trusting an average.

    Raises
    ------
    ValueError
        If function cannot be called, a seed is not an integer >= 0 or occurs twice, or retries
        is negative.

    Examples
    --------
    >>> results, failures = map(lambda rng: round(rng.random(), 3), [2, 0, 1])
    >>> results, failures
    ({2: 0.262, 0: 0.637, 1: 0.512}, {})
    """
    if not callable(function):
        raise ValueError(f"function must be callable, got {type(function).__name__}")
    seeds = _counts("seeds", seeds)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be distinct, got {len(seeds) - len(set(seeds))} repeats")
    results: dict[int, T] = {}
    failures: dict[int, Exception] = {}
    with tqdm(total=len(seeds), unit="seed", disable=None) as bar:
        for attempt in range(1 + _counts("retries", [retries])[0]):
            pending = [seed for seed in seeds if seed not in results]
            for seed, result in _run(function, pending, executor, attempt):
                try:
                    results[seed] = result()
                except Exception as error:
                    failures[seed] = error
                else:
                    failures.pop(seed, None)
                    bar.update()
                bar.set_postfix(failed=len(failures), refresh=False)
    return Ensemble(
        {seed: results[seed] for seed in seeds if seed in results},
        {seed: failures[seed] for seed in seeds if seed in failures},
    )


def _counts(name: str, values: Iterable[int]) -> list[int]:
    """Return integers >= 0 as a list, or raise ValueError."""
    try:
        found = list(values)
    except TypeError:
        raise ValueError(f"{name} must be integers, got {values!r}") from None
    for value in found:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name} must be integers of at least 0, got {value!r}")
    return [int(value) for value in found]


def _run(
    function: Callable[[np.random.Generator], T],
    seeds: list[int],
    executor: Executor | None,
    attempt: int,
) -> Iterator[tuple[int, Callable[[], T]]]:
    """Yield each seed when it is done, with a call that returns its result or raises."""
    if executor is None:
        for seed in seeds:
            yield seed, partial(_draw, function, seed, attempt)
        return
    futures: dict[Future[T], int] = {}
    try:
        for seed in seeds:
            try:
                future = executor.submit(_draw, function, seed, attempt)
            except RuntimeError as error:  # A pool that has lost a process takes no more work.
                future = Future()
                future.set_exception(error)
            futures[future] = seed
        for future in as_completed(futures):
            yield futures[future], future.result
    finally:
        for future in futures:
            future.cancel()


def _draw(function: Callable[[np.random.Generator], T], seed: int, attempt: int) -> T:
    # `attempt` tells a retry from the call that failed: Dask remembers the outcome of a call.
    return function(np.random.default_rng(seed))
