"""The lock of redis-py at the same work as the others, driven by lock_speed as a process of its own.

redis_py.py rate PORT TASKS SECONDS   prints: pairs a second, p50 and p99 of a pair in microseconds
redis_py.py wait PORT WAITERS        at each line of input each of the waiters takes the lock once; prints for each
                                     when it got it and when it began to give it back, in microseconds since boot,
                                     and then "ready"
"""

import asyncio
import sys
import time

import redis
import redis.asyncio

HOLD_S = 0.001
LEASE_S = 30


def rate_of_one(port, seconds):
    client = redis.Redis(port=port)
    times = []
    start = time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        lock = client.lock("py:0", timeout=LEASE_S)
        assert lock.acquire(blocking=False)
        lock.release()
        times.append(time.perf_counter() - now)
    return times


async def rate_of_many(port, tasks, seconds):
    client = redis.asyncio.Redis(port=port)
    times = []
    end = time.perf_counter() + seconds

    async def work(task):
        while (now := time.perf_counter()) < end:
            lock = client.lock(f"py:{task}", timeout=LEASE_S)
            assert await lock.acquire(blocking=False)
            await lock.release()
            times.append(time.perf_counter() - now)

    await asyncio.gather(*[work(task) for task in range(tasks)])
    return times


async def wait(port, waiters):
    client = redis.asyncio.Redis(port=port)
    await client.ping()
    print("ready", flush=True)

    def boot_us():
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    async def work():
        lock = client.lock("hand-over", timeout=LEASE_S)
        assert await lock.acquire()
        got = boot_us()
        await asyncio.sleep(HOLD_S)
        gives = boot_us()
        await lock.release()
        return got, gives

    while sys.stdin.readline():
        for got, gives in await asyncio.gather(*[work() for _ in range(waiters)]):
            print(got, gives)
        print("ready", flush=True)


def main():
    what, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if what == "wait":
        asyncio.run(wait(port, count))
        return
    seconds = float(sys.argv[4])
    times = rate_of_one(port, seconds) if count == 1 else asyncio.run(rate_of_many(port, count, seconds))
    times.sort()
    p50, p99 = (times[(len(times) - 1) * part // 100] * 1e6 for part in (50, 99))
    print(f"{len(times) / seconds:.0f} {p50:.0f} {p99:.0f}")


main()
