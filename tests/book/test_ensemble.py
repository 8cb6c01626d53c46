"""Ensembles: the same bits wherever they run, and no seed lost to another's failure."""

import copy
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import numpy as np
import pytest

import gfcore as gf
from gfbook import ensemble


def make_trajectory():
    """A function without a global name, so that a cluster is sent its code."""

    def trajectory(rng):
        Y = rng.standard_normal((3, 4))
        weights = gf.initial.gaussian(3, 4, 6, 0.3, rng)
        return gf.flow.solve(Y, weights, np.linspace(0, 0.5, 5)).singular_values()

    return trajectory


trajectory = make_trajectory()


def same_bits(one, two):
    return list(one) == list(two) and all(one[s].tobytes() == two[s].tobytes() for s in one)


def test_results_are_those_of_the_generators_in_the_order_of_the_seeds():
    seeds = [5, 0, 10**12, 3]
    results, failures = ensemble.map(trajectory, seeds)
    assert failures == {}
    assert same_bits(results, {seed: trajectory(np.random.default_rng(seed)) for seed in seeds})


def test_order_and_place_change_no_bit():
    here = ensemble.map(trajectory, range(8))
    with ThreadPoolExecutor(3) as executor:
        there = ensemble.map(trajectory, range(8), executor)
    backwards = ensemble.map(trajectory, reversed(range(8)))
    assert same_bits(here.results, there.results)
    assert same_bits(here.results, dict(sorted(backwards.results.items())))


class Flaky:
    """Fails on the seeds of `first_draws` as many times as told; counts its calls."""

    def __init__(self, faults):
        draws = {np.random.default_rng(seed).random(): seed for seed in range(10)}
        self.seed_of, self.faults, self.calls = draws, dict(faults), []

    def __call__(self, rng):
        seed = self.seed_of[rng.random()]
        self.calls.append(seed)
        if self.faults.get(seed, 0) > 0:
            self.faults[seed] -= 1
            raise ArithmeticError(f"seed {seed} fails")
        return seed


@pytest.mark.parametrize("threads", [0, 2])
def test_failed_seeds_are_retried_and_reported_without_losing_the_others(threads):
    flaky = Flaky({2: 1, 4: 2, 7: 3})
    if threads:
        with ThreadPoolExecutor(threads) as executor:
            results, failures = ensemble.map(flaky, range(10), executor, retries=2)
    else:
        results, failures = ensemble.map(flaky, range(10), retries=2)
    assert results == {seed: seed for seed in range(10) if seed != 7}
    assert list(results) == sorted(results)
    assert list(failures) == [7]
    with pytest.raises(ArithmeticError, match="seed 7 fails"):
        raise failures[7]
    assert [flaky.calls.count(seed) for seed in (0, 2, 4, 7)] == [1, 2, 3, 3]
    # The seeds that failed can be passed in again.
    assert ensemble.map(flaky, failures) == ({7: 7}, {})


def test_no_retry_when_told():
    flaky = Flaky({2: 1})
    results, failures = ensemble.map(flaky, [1, 2, 3], retries=0)
    assert (list(results), list(failures)) == ([1, 3], [2])


def test_an_executor_that_takes_no_more_work_loses_nothing():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    results, failures = ensemble.map(trajectory, range(3), executor)
    assert results == {}
    assert list(failures) == [0, 1, 2]
    assert all(isinstance(error, RuntimeError) for error in failures.values())


def test_an_interrupt_stops_the_run():
    def interrupted(rng):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensemble.map(interrupted, [0, 1])


def test_the_progress_bar_shows_on_a_terminal_alone(monkeypatch):
    class Terminal(StringIO):
        def isatty(self):
            return True

    for stream, shown in ((StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        ensemble.map(Flaky({1: 9}), range(3))
        assert ("2/3" in stream.getvalue()) is shown
        assert ("failed=1" in stream.getvalue()) is shown


@pytest.mark.parametrize(
    ("seeds", "retries", "message"),
    [
        ([1, 2, 1], 1, "seeds must be distinct, got 1 repeats"),
        ([-1], 1, "seeds must be integers of at least 0, got -1"),
        ([0.5], 1, "seeds must be integers of at least 0, got 0.5"),
        ([1], -1, "retries must be integers of at least 0, got -1"),
    ],
)
def test_refusals(seeds, retries, message):
    with pytest.raises(ValueError, match=message):
        ensemble.map(trajectory, seeds, retries=retries)
    with pytest.raises(ValueError, match="function must be callable, got NoneType"):
        ensemble.map(None, [1])


def test_a_cluster_that_loses_a_worker_gives_the_same_bits(tmp_path):
    import distributed  # Slow to import, and needed by no other test.

    killed, failed = tmp_path / "killed", tmp_path / "failed"
    victim, faulty = (np.random.default_rng(seed).random() for seed in (5, 9))
    trajectory = make_trajectory()

    def task(rng):
        first = copy.deepcopy(rng).random()
        if first == victim and not killed.exists():
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        if first == faulty and not failed.exists():
            failed.touch()
            raise ArithmeticError("once")
        return trajectory(rng)

    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=tmp_path,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        results, failures = ensemble.map(task, range(16), client.get_executor())
        after = set(client.run(os.getpid).values())
    # One of the two workers died in the middle, and the seed that failed was tried again.
    assert int(killed.read_text()) in pids - after
    assert failed.exists()
    assert failures == {}
    assert same_bits(results, ensemble.map(trajectory, range(16)).results)
